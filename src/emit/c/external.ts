// What a C program does about slow memory: the hooks that it is given, the table of copies and the code that starts and
// awaits them, the image of the constants with its header, and the checks of both.

import { bug } from '../../errors.ts'
import { HEADER_BYTES } from '../../plan/external.ts'
import type { External, Plan, WeightSegment } from '../../plan/plan.ts'
import { broken } from './kernel.ts'
import { arrayText } from './number.ts'

/** The first bytes of an image: `MOTE`. */
const MAGIC = 0x45544f4d

/** The image as it stands in slow memory: magic, layout, size and hash, four little-endian words, and the constants. */
export function imageOf({ bytes, layoutId, hash }: WeightSegment): Uint8Array {
  const image = new Uint8Array(HEADER_BYTES + bytes.length)
  const words = [MAGIC, Number.parseInt(layoutId, 16), bytes.length, Number.parseInt(hash, 16)]
  for (const [i, word] of words.entries()) new DataView(image.buffer).setUint32(4 * i, word, true)
  image.set(bytes, HEADER_BYTES)
  return image
}

/** The image as C, for memory that a linker fills. */
export function imageFile(weights: WeightSegment, name: string): { readonly name: string; readonly text: string } {
  const UP = name.toUpperCase()
  return {
    name: `${name}_weights.c`,
    text: `/* ${name}_weights.bin for a linker. Not needed where the image comes to its memory by other ways. */
#include "${name}.h"

#ifndef MOTE_IMAGE_SECTION
#define MOTE_IMAGE_SECTION
#endif

MOTE_IMAGE_SECTION const uint8_t ${name}_image[${UP}_IMAGE_BYTES] = ${arrayText(imageOf(weights))};
`,
  }
}

/** Names of functions and data that `externalText` and the header use. */
export function externalNames(name: string): string[] {
  return ['image', 'fetches', 'settle', 'fetch', 'arrive', 'read_now', 'check', 'check_image', 'fetch_count'].map(
    (s) => `${name}_${s}`,
  )
}

/** The hooks that init takes, by parameter. */
export function hooksOf({ weights, input }: External): ('image' | 'input')[] {
  return [...(weights ? ['image' as const] : []), ...(input ? ['input' as const] : [])]
}

/** More parameters of init. */
export function hookParameters(external: External | undefined): string {
  return external
    ? hooksOf(external)
        .map((hook) => `, const mote_memory_t *${hook}`)
        .join('')
    : ''
}

/**
 * Hooks on memory that the machine sees, for a program around the model: their text, and more arguments of init. `input`
 * names the input's bytes there. Copies go by words, as a program's own would.
 */
export function mappedHooks(
  external: External | undefined,
  name: string,
  input: string,
): { readonly text: string; readonly arguments: string } {
  if (!external) return { text: '', arguments: '' }
  const hooks = hooksOf(external)
  const from = { image: `${name}_image`, input }
  const text = `static int slow_read(void *context, uint32_t offset, void *to, uint32_t bytes) {
  const uint8_t *from = (const uint8_t *)context + offset;
  uint8_t *at = (uint8_t *)to;
  if ((((uintptr_t)from | (uintptr_t)at) & 3) == 0)
    for (; bytes >= 32; bytes -= 32, from += 32, at += 32)
      for (int i = 0; i < 8; i++) ((uint32_t *)(void *)at)[i] = ((const uint32_t *)(const void *)from)[i];
  while (bytes-- > 0) *at++ = *from++;
  return 0;
}
`
  const memories = hooks.map(
    (hook) => `static const mote_memory_t slow_${hook} = {slow_read, NULL, (void *)(uintptr_t)${from[hook]}};\n`,
  )
  return { text: `${text}${memories.join('')}`, arguments: hooks.map((hook) => `, &slow_${hook}`).join('') }
}

/** More fields of the model. */
export function hookFields(external: External): string {
  return `  mote_memory_t memory[${hooksOf(external).length}];
  const mote_memory_t *busy; /* a copy from it is under way */
  int fetch, next; /* the next copy, and the layer that it belongs before */
`
}

/** For the header, before the model's type. */
export function hookType(): string {
  return `#ifndef MOTE_MEMORY
#define MOTE_MEMORY
/* Slow memory, as the caller reads it. */
typedef struct {
  /*
   * Copies bytes from offset on to an address in the arena. With wait it may return before they are there, and is not
   * called again before wait was. Returns 0, or what run is to return; then nothing more is copied.
   */
  int (*read)(void *context, uint32_t offset, void *to, uint32_t bytes);
  /* Returns when the last copy has ended: 0 or what run is to return. NULL: they end before read returns. */
  int (*wait)(void *context);
  void *context;
} mote_memory_t;
#endif

`
}

/** For the header: sizes of the image. */
export function imageMacros({ weights }: External, name: string): string[] {
  if (!weights) return []
  const UP = name.toUpperCase()
  return [
    `/* The image in slow memory: ${name}_weights.bin, header included. */`,
    `#define ${UP}_IMAGE_BYTES ${HEADER_BYTES + weights.bytes.length}`,
    `#define ${UP}_IMAGE_LAYOUT 0x${weights.layoutId}u`,
    `#define ${UP}_IMAGE_HASH 0x${weights.hash}u`,
  ]
}

/** For the header: what init does with the hooks. */
export function initNotes({ weights, input }: External): string[] {
  return [
    ...(weights ? ['image reads the constants of the largest layers from slow memory.'] : []),
    ...(input ? ['input reads the input: row r stands at r * row bytes.'] : []),
    '4 where a hook is missing or fails.',
    ...(weights
      ? ['5 where the image is another one: of another layout or, with the built-in weights, another hash.']
      : []),
  ]
}

/** For the header: the image, and the check of all of it. */
export function imageDeclarations({ weights }: External, name: string): string {
  if (!weights) return ''
  const UP = name.toUpperCase()
  return `/* The image, where ${name}_weights.c is linked in. */
extern const uint8_t ${name}_image[${UP}_IMAGE_BYTES];

/*
 * Reads the whole image and compares it with the hash in its header. Returns 0, -1 before init, -2 where they differ, or
 * what the hook returned. It needs the arena: inputs and outputs are gone afterwards, tensors that live between runs stay.
 */
int ${name}_check_image(${name}_t *m);

`
}

/** For init, where \`m\` and \`arena\` are: returns at a fault. */
export function initText(external: External, name: string): string {
  const hooks = hooksOf(external).map(
    (hook, i) => `  if (!${hook} || !${hook}->read) return 4;\n  m->memory[${i}] = *${hook};\n`,
  )
  const check = `  {
    const int fault = ${name}_check(m, arena, !weights);
    if (fault) return fault;
  }
`
  return `  m->busy = NULL;\n  m->next = -1;\n${hooks.join('')}${external.weights ? check : ''}`
}

export function resetText(name: string): string[] {
  return [`(void)${name}_settle(m);`, 'm->next = -1;']
}

function checks({ fetches }: External, name: string): string {
  const UP = name.toUpperCase()
  const constants = fetches.filter((f) => f.from === 'weights').map((f) => f.place)
  const { offset, bytes } = constants.reduce((a, b) => (b.bytes > a.bytes ? b : a))
  return `
static int ${name}_read_now(const mote_memory_t *from, uint32_t offset, void *to, uint32_t bytes) {
  const int fault = from->read(from->context, offset, to, bytes);
  return fault || !from->wait ? fault : from->wait(from->context);
}

static int ${name}_check(const ${name}_t *m, void *arena, int built_in) {
  uint32_t header[4];
  if (${name}_read_now(&m->memory[0], 0, arena, sizeof header)) return 4;
  memcpy(header, arena, sizeof header);
  if (header[0] != 0x${MAGIC.toString(16)}u || header[1] != ${UP}_IMAGE_LAYOUT) return 5;
  if (header[2] != ${UP}_IMAGE_BYTES - ${HEADER_BYTES} || (built_in && header[3] != ${UP}_IMAGE_HASH)) return 5;
  return 0;
}

int ${name}_check_image(${name}_t *m) {
  uint32_t hash = 0x811c9dc5u, expected = 0;
  uint8_t *to;
  int fault;
  if (!m->arena) return -1;
  fault = ${name}_settle(m);
  m->next = -1;
  to = m->arena + ${offset};
  if (!fault) fault = ${name}_read_now(&m->memory[0], 12, to, sizeof expected);
  if (fault) return fault;
  memcpy(&expected, to, sizeof expected);
  for (uint32_t at = ${HEADER_BYTES}; at < ${UP}_IMAGE_BYTES; at += ${bytes}) {
    const uint32_t left = ${UP}_IMAGE_BYTES - at;
    const uint32_t bytes = left < ${bytes} ? left : ${bytes};
    fault = ${name}_read_now(&m->memory[0], at, to, bytes);
    if (fault) return fault;
    for (uint32_t i = 0; i < bytes; i++) hash = (hash ^ to[i]) * 0x01000193u;
  }
  return hash == expected ? 0 : -2;
}
`
}

/** The copies: \`${name}_arrive(m, i)\` makes sure that what layer i reads is there, and starts what comes after it. */
export function externalText(plan: Plan, name: string): string {
  const external = plan.external ?? bug('nothing is external')
  const { fetches, weights } = external
  const input = hooksOf(external).indexOf('input')
  const rows = fetches.map((f) => {
    const at = f.from === 'weights' ? HEADER_BYTES + f.offset : f.offset
    return `{${at}, ${f.place.offset}, ${f.place.bytes}, ${f.start}, ${f.needed}, ${f.last}, ${f.from === 'weights' ? 0 : input}}`
  })
  return `/* Copies into the arena, in the order in which they start. */
static const struct {
  uint32_t offset, place, bytes;
  int start, needed, last; /* layers: before which it may start, before which it has ended, the last that reads it */
  int from; /* which memory */
} ${name}_fetches[] = {
${broken(`    ${rows.join(', ')}`, '    ').join('\n')}
};
enum { ${name}_fetch_count = sizeof ${name}_fetches / sizeof *${name}_fetches };

static int ${name}_settle(${name}_t *m) {
  const mote_memory_t *busy = m->busy;
  m->busy = NULL;
  return busy ? busy->wait(busy->context) : 0;
}

static int ${name}_fetch(${name}_t *m, int k) {
  const mote_memory_t *from = &m->memory[${name}_fetches[k].from];
  int fault = ${name}_settle(m);
  if (fault) return fault;
  fault = from->read(from->context, ${name}_fetches[k].offset, m->arena + ${name}_fetches[k].place, ${name}_fetches[k].bytes);
  if (!fault && from->wait) m->busy = from;
  return fault;
}

/* What layer i reads is there, what comes after it is on its way. */
static int ${name}_arrive(${name}_t *m, int i) {
  int fault = ${name}_settle(m);
  if (i != m->next) { /* out of turn: what the layers before it would have fetched */
    int k = 0;
    for (; k < ${name}_fetch_count && ${name}_fetches[k].start < i; k++)
      if (!fault && ${name}_fetches[k].last >= i) fault = ${name}_fetch(m, k);
    m->fetch = k;
    if (!fault) fault = ${name}_settle(m);
  }
  while (!fault && m->fetch < ${name}_fetch_count && ${name}_fetches[m->fetch].start == i) {
    const int k = m->fetch++;
    fault = ${name}_fetch(m, k);
    if (!fault && ${name}_fetches[k].needed == i) fault = ${name}_settle(m);
  }
  m->next = fault ? -1 : i + 1;
  return fault;
}
${weights ? checks(external, name) : ''}`
}
