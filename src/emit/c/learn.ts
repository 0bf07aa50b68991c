// What a program that learns has beyond one that predicts: a step of training in two halves, and the bytes that survive a power
// cut in one of two slots of the caller's memory (each ends with a sequence number and a CRC-32, written last).

import { elemOf } from '../../ir/graph.ts'
import { count } from '../../loops/ir.ts'
import type { Learning, Plan } from '../../plan/plan.ts'
import { C_TYPE } from './number.ts'

/** Bytes of a checkpoint behind the state: magic, layout, sequence, CRC-32. */
const TRAILER = 16
/** `MOTC`. */
const MAGIC = 0x43544f4d

const labelType = ({ label }: Learning) => C_TYPE[elemOf(label.type.dtype)!]

/** Names of functions that `learnText` and the header use. */
export function learnNames(name: string): string[] {
  return ['predict', 'train', 'save', 'restore', 'checkpoint_crc', 'checkpoint_valid', 'checkpoint_newest'].map(
    (s) => `${name}_${s}`,
  )
}

/** Fields of the model: whether outputs are there to learn from. */
export const LEARN_FIELDS = '  int ready; /* whether there are outputs to learn from */\n'

/** Lines of constants for the header. */
export function learnMacros(learning: Learning, name: string): string[] {
  const UP = name.toUpperCase()
  return [
    '/* Layers before these numbers predict, and then judge; the others learn. */',
    `#define ${UP}_PREDICTED ${learning.predicted}`,
    `#define ${UP}_JUDGED ${learning.judged}`,
    `#define ${UP}_LABELS ${count(learning.label.type.shape)}`,
    ...(learning.classes === undefined ? [] : [`#define ${UP}_CLASSES ${learning.classes}`]),
    '/* What learns and what is remembered, from the start of the arena; and what a slot of a checkpoint takes. */',
    `#define ${UP}_STATE_BYTES ${learning.stateBytes}`,
    `#define ${UP}_STATE_LAYOUT 0x${learning.stateLayout}u`,
    `#define ${UP}_CHECKPOINT_BYTES ${TRAILER + learning.stateBytes}`,
  ]
}

/** Declarations for the header. */
export function learnDeclarations(learning: Learning, name: string, pushed: boolean): string {
  const UP = name.toUpperCase()
  const what =
    learning.classes === undefined
      ? `label: ${UP}_LABELS numbers that the outputs should have been`
      : `label: ${UP}_LABELS classes from 0 to ${UP}_CLASSES - 1`
  const before = pushed ? 'the last row' : `${name}_predict`
  return `${
    pushed
      ? ''
      : `/* Computes the model's outputs, and no more. Inputs must be written again before each run. Returns 0, or -1 before init. */
int ${name}_predict(${name}_t *m);

`
  }/*
 * One step of learning from what ${before} has just seen. ${what};
 * rate: the learning rate, from 0 on. Returns 0; -1 before init or where nothing was predicted since the last step; -2 where a
 * label is none, or the rate; -3 where the loss is not finite (an input was no number, or weights grew without bounds). Unless it
 * returns 0 nothing was changed: after -3 go on with another input, or from a checkpoint.
 */
int ${name}_train(${name}_t *m, const ${labelType(learning)} *label, float rate);

/*
 * A checkpoint: two slots of ${UP}_CHECKPOINT_BYTES bytes each in memory that outlives a power cut. \`read\` and \`write\` move
 * bytes at an offset from the first slot's start and return 0, or another number where they failed. A save writes one slot from its
 * start on, in two pieces of multiples of 4 bytes; a hook on flash erases the slot when its first byte comes. A slot counts
 * once its last bytes are whole, so whenever power fails, the state of the last complete save is there.
 */
typedef struct {
  void *context;
  int (*read)(void *context, uint32_t offset, void *to, uint32_t bytes);
  int (*write)(void *context, uint32_t offset, const void *from, uint32_t bytes);
} ${name}_memory_t;

/* Writes what was learnt into the slot that holds nothing, or the older state. Returns 0, -1 before init, or what a hook returned. */
int ${name}_save(const ${name}_t *m, const ${name}_memory_t *memory);

/* The newest whole state back. Returns 0; -1 before init; 1 where no slot holds one: then nothing was changed;
   2 where it could not be read: then it is as after reset. */
int ${name}_restore(${name}_t *m, const ${name}_memory_t *memory);

`
}

/** The functions' text. */
export function learnText({ learning, places }: Plan, name: string, pushed: boolean): string {
  if (!learning) return ''
  const UP = name.toUpperCase()
  const at = (v: Learning['label']) => places.get(v)!.offset
  const known =
    learning.classes === undefined
      ? ''
      : `  for (i = 0; i < ${UP}_LABELS; i++)
    if (label[i] < 0 || label[i] >= ${UP}_CLASSES) return -2;
`
  return `${
    pushed
      ? ''
      : `int ${name}_predict(${name}_t *m) {
  if (${name}_run_layers(m, 0, ${UP}_PREDICTED)) return -1;
  m->ready = 1;
  return 0;
}
`
  }
int ${name}_train(${name}_t *m, const ${labelType(learning)} *label, float rate) {
  float loss;
${known ? '  int i;\n' : ''}  if (!m->arena || !m->ready) return -1;
  if (!label || !(rate >= 0.0f && rate - rate == 0.0f)) return -2;
${known}  memcpy(m->arena + ${at(learning.label)}, label, ${UP}_LABELS * sizeof *label);
  memcpy(m->arena + ${at(learning.rate)}, &rate, sizeof rate);
  m->ready = 0;
  ${name}_run_layers(m, ${UP}_PREDICTED, ${UP}_JUDGED);
  memcpy(&loss, m->arena + ${at(learning.loss)}, sizeof loss);
  if (!(loss - loss == 0.0f)) return -3;
  ${name}_run_layers(m, ${UP}_JUDGED, ${UP}_LAYERS);
  return 0;
}

/* CRC-32 of IEEE 802.3, four bits at a time. */
static uint32_t ${name}_checkpoint_crc(uint32_t crc, const void *from, uint32_t bytes) {
  static const uint32_t table[16] = {
    0x00000000u, 0x1db71064u, 0x3b6e20c8u, 0x26d930acu, 0x76dc4190u, 0x6b6b51f4u, 0x4db26158u, 0x5005713cu,
    0xedb88320u, 0xf00f9344u, 0xd6d6a3e8u, 0xcb61b38cu, 0x9b64c2b0u, 0x86d3d2d4u, 0xa00ae278u, 0xbdbdf21cu};
  const uint8_t *p = (const uint8_t *)from;
  for (; bytes > 0; bytes--, p++) {
    crc ^= *p;
    crc = (crc >> 4) ^ table[crc & 15u];
    crc = (crc >> 4) ^ table[crc & 15u];
  }
  return crc;
}

/* Whether the slot's state and trailer belong together; gives the trailer. */
static int ${name}_checkpoint_valid(const ${name}_memory_t *memory, uint32_t slot, uint32_t *trailer) {
  const uint32_t start = slot * ${UP}_CHECKPOINT_BYTES;
  uint8_t part[64];
  uint32_t crc = 0xffffffffu;
  uint32_t done;
  if (memory->read(memory->context, start + ${UP}_STATE_BYTES, trailer, ${TRAILER})) return 0;
  if (trailer[0] != 0x${MAGIC.toString(16)}u || trailer[1] != ${UP}_STATE_LAYOUT) return 0;
  for (done = 0; done < ${UP}_STATE_BYTES; done += 64u) {
    const uint32_t rest = ${UP}_STATE_BYTES - done;
    const uint32_t bytes = rest < 64u ? rest : 64u;
    if (memory->read(memory->context, start + done, part, bytes)) return 0;
    crc = ${name}_checkpoint_crc(crc, part, bytes);
  }
  return trailer[3] == ~${name}_checkpoint_crc(crc, trailer, ${TRAILER - 4});
}

/* The slot with the newest whole state and its sequence number, or -1 and 0. */
static int ${name}_checkpoint_newest(const ${name}_memory_t *memory, uint32_t *sequence) {
  uint32_t trailers[2][4];
  const int first = ${name}_checkpoint_valid(memory, 0, trailers[0]);
  const int second = ${name}_checkpoint_valid(memory, 1, trailers[1]);
  const int newest = second && (!first || (int32_t)(trailers[1][2] - trailers[0][2]) > 0) ? 1 : first - 1;
  *sequence = newest < 0 ? 0 : trailers[newest][2];
  return newest;
}

int ${name}_save(const ${name}_t *m, const ${name}_memory_t *memory) {
  uint32_t trailer[4] = {0x${MAGIC.toString(16)}u, ${UP}_STATE_LAYOUT, 0, 0};
  uint32_t start;
  uint32_t crc;
  int fault;
  if (!m->arena) return -1;
  start = ${name}_checkpoint_newest(memory, &trailer[2]) == 0 ? ${UP}_CHECKPOINT_BYTES : 0;
  trailer[2]++;
  crc = ${name}_checkpoint_crc(0xffffffffu, m->arena, ${UP}_STATE_BYTES);
  trailer[3] = ~${name}_checkpoint_crc(crc, trailer, ${TRAILER - 4});
  fault = memory->write(memory->context, start, m->arena, ${UP}_STATE_BYTES);
  return fault ? fault : memory->write(memory->context, start + ${UP}_STATE_BYTES, trailer, ${TRAILER});
}

int ${name}_restore(${name}_t *m, const ${name}_memory_t *memory) {
  uint32_t sequence;
  int newest;
  if (!m->arena) return -1;
  newest = ${name}_checkpoint_newest(memory, &sequence);
  if (newest < 0) return 1;
  m->ready = 0;
  if (!memory->read(memory->context, (uint32_t)newest * ${UP}_CHECKPOINT_BYTES, m->arena, ${UP}_STATE_BYTES)) return 0;
  ${name}_reset(m);
  return 2;
}
`
}
