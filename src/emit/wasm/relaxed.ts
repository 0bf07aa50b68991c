// A small module that says whether an engine's relaxed dot product is the one that `quad` means (products of signed and unsigned
// bytes, four of them added without saturation), and its multiplication and addition is `fma`, rounded once. Engines may
// choose; some of Node 20's answers are wrong though it takes the instruction. (WebAssembly relaxed SIMD,
// i32x4.relaxed_dot_i8x16_i7x16_add_s and f32x4.relaxed_madd.)

import { encodeModule, FuncBody } from './encoder.ts'

/** Lanes of four signed bytes, four unsigned ones, and the sums that 1 and their products make. */
const PRODUCTS: readonly (readonly [number[], number[]])[] = [
  [
    [127, 127, 127, 127],
    [255, 255, 255, 255],
  ],
  [
    [-128, -128, -128, -128],
    [255, 254, 128, 127],
  ],
  [
    [127, -128, 127, -128],
    [255, 255, 1, 200],
  ],
  [
    [-1, 2, -3, 4],
    [0, 129, 77, 250],
  ],
]

function lanes(f: FuncBody, x: number): void {
  f.f32(x)
  f.op('f32x4.splat')
}

/** Exports `ok()`, which is 1 where it is and 0 where it is not. Not a valid module where there are no relaxed instructions. */
export function relaxedProbe(): Uint8Array {
  const f = new FuncBody([])
  const word = (n: number) => [n & 255, (n >> 8) & 255, (n >> 16) & 255, (n >> 24) & 255]
  f.v128(PRODUCTS.flatMap(([a]) => a.map((n) => n & 255)))
  f.v128(PRODUCTS.flatMap(([, b]) => b))
  f.i32(1)
  f.op('i32x4.splat')
  f.op('i32x4.relaxed_dot_i8x16_i7x16_add_s')
  // the square of 1 + 2^-12 is 1 + 2^-11 and 2^-24, which a product that is rounded loses: no difference is added to the sums
  for (const x of [1 + 2 ** -12, 1 + 2 ** -12, -1 - 2 ** -11]) lanes(f, x)
  f.op('f32x4.relaxed_madd')
  lanes(f, 2 ** -24)
  f.op('i32x4.sub')
  f.op('i32x4.add')
  f.v128(PRODUCTS.flatMap(([a, b]) => word(a.reduce((sum, n, i) => sum + n * b[i], 1))))
  return probe(f)
}

/** The same for the target `wasm-fast`, whose multiply-adds may round once or twice. */
export function fusedProbe(): Uint8Array {
  const f = new FuncBody([])
  for (const x of [2, 3, 4]) lanes(f, x)
  f.op('f32x4.relaxed_madd')
  lanes(f, 10)
  return probe(f)
}

/** A module that says whether the two vectors that are left on the stack have the same bits. */
function probe(f: FuncBody): Uint8Array {
  f.op('i32x4.eq')
  f.op('i32x4.all_true')
  return encodeModule({
    funcs: [f.func('', ['i32'])],
    exports: [{ name: 'ok', kind: 'func', index: 0 }],
  })
}

/** Whether this engine runs modules for the target `wasm-relaxed`, with the same bits, or those that a probe is for. */
export function runsRelaxed(probe = relaxedProbe()): boolean {
  try {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(probe as BufferSource))
    return (exports.ok as () => number)() === 1
  } catch {
    return false
  }
}
