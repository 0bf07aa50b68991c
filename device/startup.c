/* Start of an Armv7-M or Armv8.1-M board: vectors, floating-point unit, zeroed memory, main. */
#include <stdint.h>

extern uint32_t link_stack_top[], link_bss_start[], link_bss_end[];
extern void tick_wrapped(void);
int main(void);

__attribute__((noreturn)) void leave(int ok);

__attribute__((noreturn)) static void fault(void) {
  leave(0);
}

__attribute__((noreturn)) static void start(void) {
  volatile uint32_t *coprocessor_access = (volatile uint32_t *)0xe000ed88;
  *coprocessor_access |= 0xfu << 20;
  __asm volatile("dsb\n isb" ::: "memory");
  for (volatile uint32_t *p = link_bss_start; p < link_bss_end; p++) *p = 0;
  leave(main() == 0);
}

typedef void (*handler)(void);
__attribute__((section(".vectors"), used)) static const struct {
  uint32_t *stack;
  handler handlers[15];
} vectors = {
    link_stack_top,
    {start, fault, fault, fault, fault, fault, fault, 0, 0, 0, fault, fault, 0, fault, tick_wrapped},
};
