/*
 * A TCG plugin of QEMU: how often each block of instructions ran between the calls of two functions, and how often what ran
 * next was not the block behind it. Arguments: start and stop (addresses), out (a file). For each stop it writes a line
 * "first bytes runs taken" for every block that ran, addresses in hexadecimal, and then a line "-".
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The part of QEMU's plugin interface that is used here; it is the same in all its versions. */
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*translated_cb)(uint64_t id, struct qemu_plugin_tb *block);
typedef void (*executed_cb)(unsigned cpu, void *user);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, translated_cb cb);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block, executed_cb cb, int registers, void *user);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *instruction);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *instruction);

#define EXPORT __attribute__((visibility("default")))
EXPORT int qemu_plugin_version = VERSION;

typedef struct block {
  uint64_t first, end, runs, taken;
  struct block *before;
} block;

static uint64_t start, stop;
static FILE *out;
static block *blocks, *previous;
static int counting;

static void write_counts(void) {
  for (block *b = blocks; b; b = b->before) {
    if (b->runs == 0) continue;
    fprintf(out, "%llx %llu %llu %llu\n", (unsigned long long)b->first, (unsigned long long)(b->end - b->first),
            (unsigned long long)b->runs, (unsigned long long)b->taken);
    b->runs = b->taken = 0;
  }
  fputs("-\n", out);
  fflush(out);
}

static void executed(unsigned cpu, void *user) {
  block *b = user;
  (void)cpu;
  if (counting && previous->end != b->first) previous->taken++;
  if (b->first == stop && counting) {
    counting = 0;
    write_counts();
  }
  if (b->first == start) counting = 1;
  if (counting) b->runs++;
  previous = b;
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb) {
  const struct qemu_plugin_insn *last = qemu_plugin_tb_get_insn(tb, qemu_plugin_tb_n_insns(tb) - 1);
  block *b = calloc(1, sizeof *b);
  (void)id;
  b->first = qemu_plugin_tb_vaddr(tb);
  b->end = qemu_plugin_insn_vaddr(last) + qemu_plugin_insn_size(last);
  b->before = blocks;
  blocks = b;
  qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, 0, b);
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv);
EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv) {
  (void)info;
  for (int i = 0; i < argc; i++) {
    if (strncmp(argv[i], "start=", 6) == 0) start = strtoull(argv[i] + 6, NULL, 16);
    if (strncmp(argv[i], "stop=", 5) == 0) stop = strtoull(argv[i] + 5, NULL, 16);
    if (strncmp(argv[i], "out=", 4) == 0) out = fopen(argv[i] + 4, "w");
  }
  if (!out) return 1;
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  return 0;
}
