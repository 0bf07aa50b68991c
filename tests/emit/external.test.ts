import { describe, expect, test } from 'vitest'
import { imageOf } from '../../src/emit/c/external.ts'
import { emitC } from '../../src/emit/c/program.ts'
import { type CompileOptions, compile } from '../../src/emit/program.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { fingerprint } from '../../src/ir/hash.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import type { Plan } from '../../src/plan/plan.ts'
import { benchDevice, missingDeviceTools } from '../../src/run/device.ts'
import { hostCompiler, runHostC, SANITIZED, STRICT } from '../../src/run/host_c.ts'
import { inDirectory, isInstalled, runTool } from '../../src/run/host_tool.ts'
import { reference } from '../../src/run/reference.ts'
import { heavy } from '../support/heavy.ts'

const CXX = ['-x', 'c++', '-O1', '-Wall', '-Wextra', '-Wconversion', '-Wpedantic', '-Werror']
const graph = heavy()
const random = new Xorshift32(3)
const inputs = graph.inputs.map((v) => random.fill(v.type))
const expected = reference(graph).run(inputs).map(fingerprint)
const planOf = (options: CompileOptions = {}, of: Graph = graph, target = 'c'): Plan =>
  compile(of, { target, stage: 'none', external: 'weights', ...options }).plan

const CHOICES: readonly CompileOptions[] = [
  {},
  { prefetch: 'none', window: 800 },
  { flash: 4000, window: 800 },
  { stage: 'rows', input: 'external' },
  { stage: 'rows', input: 'external', external: 'none', prefetch: 'none' },
  { stage: 'rows', input: 'streamed' },
]

/** Slow memory that counts its calls, can fail at one of them, and ends somewhere. */
const MEMORY = `#include "net.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GUARD 64
static uint8_t block[GUARD + NET_ARENA_BYTES + GUARD] __attribute__((aligned(64)));
static uint8_t *const arena = block + GUARD;
static net_t m;
static uint8_t image[NET_IMAGE_BYTES];
static int calls, fails_at = -1, waiting, late;
static uint32_t ends_at = NET_IMAGE_BYTES, from, length;
static uint8_t *where;

static int copied(void) {
  if (from > ends_at || length > ends_at - from) return 77;
  memcpy(where, image + from, length);
  return 0;
}

static int slow_read(void *context, uint32_t offset, void *to, uint32_t bytes) {
  if (context != &m || waiting) abort();
  if ((uint8_t *)to < arena || (uint8_t *)to + bytes > arena + NET_ARENA_BYTES) abort();
  if (calls++ == fails_at) return 55;
  from = offset;
  where = (uint8_t *)to;
  length = bytes;
  waiting = late;
  return late ? 0 : copied();
}

static int slow_wait(void *context) {
  if (context != &m || !waiting) abort();
  waiting = 0;
  return calls++ == fails_at ? 56 : copied();
}

static uint32_t fnv1a(const void *data, size_t bytes) {
  uint32_t h = 0x811c9dc5u;
  for (size_t i = 0; i < bytes; i++) h = (h ^ ((const uint8_t *)data)[i]) * 0x01000193u;
  return h;
}

static int guarded(void) {
  for (int i = 0; i < GUARD; i++)
    if (block[i] != 0xa5 || block[GUARD + NET_ARENA_BYTES + i] != 0xa5) return 0;
  return 1;
}

static mote_memory_t memory(void) {
  mote_memory_t slow = {slow_read, NULL, NULL};
  slow.context = &m;
  if (late) slow.wait = slow_wait;
  return slow;
}

static int start(void) {
  const mote_memory_t slow = memory();
  calls = 0;
  memset(block, 0xa5, sizeof block);
  memcpy(image, net_image, sizeof image);
  return net_init(&m, arena, NULL, &slow);
}
#define CHECK(holds) \\
  do { \\
    if (!(holds)) { \\
      printf("line %d: %s\\n", __LINE__, #holds); \\
      exit(1); \\
    } \\
  } while (0)
`

const GIVEN = `static const int8_t given[] = {${inputs[0].join(', ')}};
static void give(void) {
  memcpy(net_input(&m), given, sizeof given);
}
static int right(void) {
  return fnv1a(net_output(&m), NET_OUTPUT_COUNT) == 0x${expected[0]}u;
}
`

const compiler = hostCompiler()

/** Runs a main beside the plan's program, sanitized; it prints what does not hold. */
function runMain(plan: Plan, body: string, flags: readonly string[] = SANITIZED): string {
  const main = `${MEMORY}${GIVEN}
int main(void) {
${body}
  printf("ok");
  return 0;
}
`
  return inDirectory([...emitC(plan, 'net').files, { name: 'main.c', text: main }], (directory) => {
    runTool(compiler!, [...flags, '-o', 'program', 'main.c', 'net.c', 'net_weights.c'], { directory })
    return `${Buffer.from(runTool(`${directory}/program`, []))}`
  })
}

describe.skipIf(!compiler)('slow memory in C (skipped where no C compiler is installed)', () => {
  test.each(CHOICES.map((c) => [JSON.stringify(c), c] as const))(
    '%s gives the reference bits, copies ending when they are waited for',
    (_, options) => {
      const plan = planOf(options)
      const want = reference(graph).trace(inputs)
      for (const flags of [STRICT, SANITIZED]) {
        const model = runHostC(plan, { flags })
        const [first, second] = model.runMany([inputs, inputs])
        expect(first.map(fingerprint)).toEqual(expected)
        expect(second.map(fingerprint)).toEqual(expected)
        const trace = model.trace(inputs)
        expect(trace.outputs.map(fingerprint)).toEqual(expected)
        if (options.stage) continue
        const tensors = new Map(trace.tensors.map((t) => [t.value.name, fingerprint(t.data)]))
        for (const { value, data } of want.tensors) expect(tensors.get(value.name), value.name).toBe(fingerprint(data))
      }
    },
  )

  for (const [name, flags] of [
    ['clang', STRICT],
    ['g++', CXX],
    ['clang++', ['-std=c++17', '-Wno-deprecated', ...CXX]],
  ] as const)
    test.skipIf(!isInstalled(name))(`compiles without a warning under ${name} (skipped where missing)`, () => {
      const plan = planOf({ stage: 'rows', input: 'external' })
      expect(runHostC(plan, { flags, compiler: name }).run(inputs).map(fingerprint)).toEqual(expected)
    })

  test('whichever read fails, run says so, writes nothing outside the arena, and the next run is right', () => {
    const body = `
  for (late = 0; late < 2; late++) {
    fails_at = -1;
    CHECK(start() == 0);
    give();
    CHECK(net_run(&m) == 0 && right() && guarded());
    const int all = calls, first = late ? 2 : 1;
    CHECK(all > first + 4);
    for (int n = first; n < all; n++) {
      fails_at = -1;
      CHECK(start() == 0 && calls == first);
      fails_at = n;
      give();
      const int fault = net_run(&m);
      CHECK(fault == 55 || fault == 56);
      CHECK(guarded() && !waiting);
      give();
      CHECK(net_run(&m) == 0 && right() && guarded());
    }
  }
  /* the memory is shorter than the image */
  for (late = 0; late < 2; late++)
    for (uint32_t n = 16; n < NET_IMAGE_BYTES; n += 500) {
      ends_at = n;
      fails_at = -1;
      CHECK(start() == 0);
      give();
      CHECK(net_run(&m) == 77 && guarded() && !waiting);
    }
`
    expect(runMain(planOf(), body)).toBe('ok')
    expect(runMain(planOf({ window: 700 }), body)).toBe('ok')
  })

  test('init refuses what is not the image, and the whole image can be checked', () => {
    const body = `
  for (late = 0; late < 2; late++) {
    net_weights_t other;
    const mote_memory_t slow = memory(), none = {NULL, NULL, NULL};
    fails_at = -1;
    ends_at = NET_IMAGE_BYTES;
    CHECK(net_init(&m, arena, NULL, NULL) == 4 && net_init(&m, arena, NULL, &none) == 4);
    CHECK(net_run(&m) == -1 && net_check_image(&m) == -1 && net_run_layers(&m, 0, 1) == -1);
    fails_at = 0;
    CHECK(start() == 4 && net_run(&m) == -1);
    fails_at = -1;
    ends_at = 15;
    CHECK(start() == 4);
    ends_at = NET_IMAGE_BYTES;
    CHECK(start() == 0);
    CHECK(net_check_image(&m) == 0 && guarded());
    for (int i = 0; i < 16; i++) { /* a damaged header */
      image[i] ^= 1;
      CHECK(net_init(&m, arena, NULL, &slow) == 5 && net_run(&m) == -1);
      image[i] ^= 1;
    }
    memcpy(&other, &net_weights, sizeof other);
    image[15] ^= 1; /* the hash: allowed beside weights of one's own, and wrong for these bytes */
    CHECK(net_init(&m, arena, &other, &slow) == 0 && net_check_image(&m) == -2);
    image[15] ^= 1;
    CHECK(net_init(&m, arena, NULL, &slow) == 0);
    for (uint32_t i = 16; i < NET_IMAGE_BYTES; i += 997) {
      image[i] ^= 4;
      CHECK(net_check_image(&m) == -2);
      image[i] ^= 4;
    }
    ends_at = NET_IMAGE_BYTES - 1;
    CHECK(net_check_image(&m) == 77 && guarded() && !waiting);
    ends_at = NET_IMAGE_BYTES;
    give();
    CHECK(net_run(&m) == 0 && right() && guarded());
  }
`
    expect(runMain(planOf(), body)).toBe('ok')
  })

  test('layers run in any portions, also after a reset in the middle, and again', () => {
    const body = `
  for (late = 0; late < 2; late++) {
    CHECK(start() == 0);
    for (int cut = 0; cut <= NET_LAYERS; cut++) {
      give();
      CHECK(net_run_layers(&m, 0, cut) == 0);
      if (cut % 3 == 1) net_reset(&m); /* what is under way ends, and what is needed is read again */
      CHECK(!waiting || cut % 3 != 1);
      CHECK(net_run_layers(&m, cut, NET_LAYERS) == 0 && right() && guarded() && !waiting);
    }
    give();
    for (int i = 0; i < NET_LAYERS; i++) CHECK(net_run_layers(&m, i, i + 1) == 0);
    CHECK(right());
  }
`
    for (const options of [{}, { window: 700 }, { prefetch: 'none' as const }])
      expect(runMain(planOf(options), body)).toBe('ok')
  })

  test('a push that needs a read that fails says so, and the next row is the first', () => {
    const rows = `
  const size_t bytes = NET_ROW_BYTES;
  for (late = 0; late < 2; late++) {
    fails_at = -1;
    CHECK(start() == 0);
    int all = 0, state;
    for (int r = 0; r < NET_ROWS; r++) CHECK(net_push_row(&m, given + (size_t)r * bytes, bytes) == (r == NET_ROWS - 1));
    CHECK(right());
    all = calls;
    for (int n = late ? 2 : 1; n < all; n++) {
      fails_at = -1;
      CHECK(start() == 0);
      fails_at = n;
      state = 0;
      for (int r = 0; r < NET_ROWS && state == 0; r++) state = net_push_row(&m, given + (size_t)r * bytes, bytes);
      CHECK(state == -3 && guarded() && !waiting);
      for (int r = 0; r < NET_ROWS; r++) state = net_push_row(&m, given + (size_t)r * bytes, bytes);
      CHECK(state == 1 && right() && guarded());
    }
  }
`
    const plan = planOf({ stage: 'rows', input: 'streamed' })
    const main = `${MEMORY}static const int8_t given[] = {${inputs[0].join(', ')}};
static int right(void) {
  return fnv1a(net_output(&m), NET_OUTPUT_COUNT) == 0x${expected[0]}u;
}
int main(void) {
${rows}
  printf("ok");
  return 0;
}
`
    inDirectory([...emitC(plan, 'net').files, { name: 'main.c', text: main }], (directory) => {
      runTool(compiler!, [...SANITIZED, '-o', 'program', 'main.c', 'net.c', 'net_weights.c'], { directory })
      expect(`${Buffer.from(runTool(`${directory}/program`, []))}`).toBe('ok')
    })
  })
})

test('the image is a file and a C array, and a program without it is as before', () => {
  const program = compile(graph, { target: 'c', stage: 'none', external: 'weights', name: 'net' })
  const names = program.files.map((f) => f.name)
  expect(names).toEqual(['net.c', 'net.h', 'net_weights.c', 'net_weights.bin'])
  const image = program.files[3].data as Uint8Array
  const { weights } = program.plan.external!
  expect(image).toEqual(imageOf(weights!))
  const words = new Uint32Array(image.slice(0, 16).buffer)
  expect([...words.slice(1)].map((w) => w.toString(16).padStart(8, '0'))).toEqual([
    weights!.layoutId,
    (image.length - 16).toString(16).padStart(8, '0'),
    fingerprint(image.slice(16)),
  ])
  expect(`${Buffer.from(image.slice(0, 4))}`).toBe('MOTE')
  const inside = compile(graph, { target: 'c', stage: 'none', name: 'net' }).files
  expect(inside.map((f) => f.name)).toEqual(['net.c', 'net.h'])
  for (const { data } of inside) expect(String(data)).not.toContain('mote_memory_t')
})

const missing = missingDeviceTools()
describe.skipIf(missing.length > 0)(`slow memory on emulated boards (skipped without ${missing.join(' and ')})`, () => {
  test.each([
    ['cortex-m4', {}],
    ['cortex-m7', { stage: 'rows', input: 'external', window: 1600 }],
    ['cortex-m55', { window: 1200 }],
  ] as const)('%s gives the reference bits within the planned memory', (on, options) => {
    const plan = planOf(options, graph, on)
    const report = benchDevice(plan, on, inputs)
    expect(report.outputFnv1a).toEqual(expected)
    expect(report.arenaUsedBytes).toBeLessThanOrEqual(plan.arenaBytes)
  })
})
