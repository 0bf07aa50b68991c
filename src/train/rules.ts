// The gradients of operators, a rule for each, in float32: from the gradients of what a node computes those of what it reads,
// built from other operators. They stand here and not with the operators, so that a program that only infers has none of it.

import type { Builder } from '../ir/build.ts'
import type { Node, Value } from '../ir/graph.ts'
import type { Attrs, Op } from '../ir/op.ts'
import { count } from '../loops/ir.ts'
import type { Accumulating } from '../ops/accumulate.ts'
import { add, type Binary, div, mul, sub } from '../ops/binary/op.ts'
import { clamp } from '../ops/clamp/op.ts'
import { type Conv2d, conv2d } from '../ops/conv2d/op.ts'
import { type DepthwiseConv2d, depthwiseConv2d } from '../ops/depthwise/op.ts'
import { expand } from '../ops/expand/op.ts'
import { fullyConnected } from '../ops/fully_connected/op.ts'
import { gather } from '../ops/gather/op.ts'
import { clampGradient } from '../ops/gradients/clamp.ts'
import { convInputGradient, convWeightGradient } from '../ops/gradients/window.ts'
import { hardSwish } from '../ops/hard_swish/op.ts'
import { logSoftmax } from '../ops/log_softmax/op.ts'
import { type Matmul, matmul } from '../ops/matmul/op.ts'
import { normalize } from '../ops/normalize/op.ts'
import { greaterEqual, lessEqual, maximum, minimum, pow, prelu, squaredDifference } from '../ops/pairwise/op.ts'
import { partialConv2d } from '../ops/partial/conv2d.ts'
import { partialDepthwiseConv2d } from '../ops/partial/depthwise.ts'
import { averagePool2d, maxPool2d } from '../ops/pool/op.ts'
import { mean, sum } from '../ops/reduce/op.ts'
import { select } from '../ops/select/op.ts'
import { concat } from '../ops/shape/concat.ts'
import { pad } from '../ops/shape/pad.ts'
import { reshape } from '../ops/shape/reshape.ts'
import { transpose } from '../ops/shape/transpose.ts'
import { logistic, tanh } from '../ops/sigmoid/op.ts'
import { slice } from '../ops/slice/op.ts'
import { softmax } from '../ops/softmax/op.ts'
import { assign } from '../ops/state/op.ts'
import { update } from '../ops/state/update.ts'
import {
  abs,
  ceil,
  cos,
  elu,
  erf,
  exp,
  floor,
  gelu,
  leakyRelu,
  log,
  neg,
  reciprocal,
  round,
  rsqrt,
  sign,
  sin,
  softplus,
  softsign,
  sqrt,
  square,
  swish,
} from '../ops/unary/op.ts'
import type { Window } from '../ops/window.ts'
import { assignGrad, gatherGrad, normalizeGrad, selectGrad, updateGrad } from './norm_rules.ts'
import { partialGrad } from './partial_rules.ts'
import {
  averagePoolGrad,
  concatGrad,
  expandGrad,
  type Grad,
  maxPoolGrad,
  outer,
  padGrad,
  reshapeGrad,
  rule,
  sliceGrad,
  sumGrad,
  transposeGrad,
} from './shape_rules.ts'
import { STORED } from './stored_rules.ts'
import { type Terms, termsOf, throughClamp, unbroadcast } from './terms.ts'

/** Of a convolution; `depthwise` says how weights are stored. */
function convGrad<A extends Accumulating & Window>(depthwise: boolean, groupsOf: (node: Node<A>) => number): Grad<A> {
  return (build, node, [dy], wanted) => {
    const [x, w, b] = node.inputs as [Value, Value, Value | undefined]
    const g = throughClamp(build, node, dy!)
    const { stride, dilation, pad } = node.attrs
    const window = { stride, dilation, pad, groups: groupsOf(node), depthwise }
    const { sum, shaped } = termsOf(build)
    return [
      wanted[0] ? build.one(convInputGradient, [g, w], { ...window, shape: x.type.shape }) : undefined,
      wanted[1] ? build.one(convWeightGradient, [x, g], { ...window, shape: w.type.shape }) : undefined,
      wanted[2] ? shaped(sum(g, outer(g)), b!.type.shape) : undefined,
    ]
  }
}

/** Of x[..., K] * w[N, K] + b. */
const denseGrad: Grad<Accumulating> = (build, node, [dy], wanted) => {
  const [x, w, b] = node.inputs as [Value, Value, Value | undefined]
  const { sum, shaped } = termsOf(build)
  const [N, K] = w.type.shape
  const g = shaped(throughClamp(build, node, dy!), [count(x.type.shape) / K, N])
  const rows = shaped(x, [g.type.shape[0], K])
  return [
    wanted[0] ? shaped(build.one(matmul, [g, w], { transA: false, transB: false }), x.type.shape) : undefined,
    wanted[1] ? build.one(matmul, [g, rows], { transA: true, transB: false }) : undefined,
    wanted[2] ? shaped(sum(g, [0]), b!.type.shape) : undefined,
  ]
}

const matmulGrad: Grad<Matmul> = (build, { inputs, attrs: { transA, transB } }, [dy], wanted) => {
  const [a, b, g] = [inputs[0]!, inputs[1]!, dy!]
  const product = (l: Value, r: Value, left: boolean, right: boolean, like: Value) =>
    unbroadcast(build, build.one(matmul, [l, r], { transA: left, transB: right }), like.type.shape)
  return [
    wanted[0] ? (transA ? product(b, g, transB, true, a) : product(g, b, false, !transB, a)) : undefined,
    wanted[1] ? (transB ? product(g, a, true, transA, b) : product(a, g, !transA, false, b)) : undefined,
  ]
}

/** Of an operator with two broadcast operands: `each` gives the gradients of the operands as wide as the result. */
function pairGrad<A extends Attrs>(
  each: (t: Terms, g: Value, a: Value, b: Value, y: Value, build: Builder) => readonly [() => Value, () => Value],
): Grad<A> {
  return (build, { inputs, outputs }, [g], wanted) =>
    each(termsOf(build), g!, inputs[0]!, inputs[1]!, outputs[0], build).map((of, i) =>
      wanted[i] ? unbroadcast(build, of(), inputs[i]!.type.shape) : undefined,
    )
}

function clampedPair(each: Parameters<typeof pairGrad>[0]): Grad<Binary> {
  const inner = pairGrad<Binary>(each)
  return (build, node, [g], wanted) => inner(build, node, [throughClamp(build, node, g!)], wanted)
}

const BINARY = {
  add: clampedPair((_, g) => [() => g, () => g]),
  sub: clampedPair((t, g) => [() => g, () => t.sub(0, g)]),
  mul: clampedPair((t, g, a, b) => [() => t.mul(g, b), () => t.mul(g, a)]),
  div: clampedPair((t, g, a, b) => [() => t.div(g, b), () => t.sub(0, t.div(t.mul(g, a), t.mul(b, b)))]),
}

/** `a` where `condition` holds for both, else 0: halves of ties go to the first operand. */
const where = (build: Builder, condition: Value, a: Value, t: Terms) =>
  build.one(select, [condition, a, t.number(0)], {})

const PAIRWISE = {
  maximum: pairGrad((t, g, a, b, _, build) => [
    () => where(build, build.one(greaterEqual, [a, b], {}), g, t),
    () => t.sub(g, where(build, build.one(greaterEqual, [a, b], {}), g, t)),
  ]),
  minimum: pairGrad((t, g, a, b, _, build) => [
    () => where(build, build.one(lessEqual, [a, b], {}), g, t),
    () => t.sub(g, where(build, build.one(lessEqual, [a, b], {}), g, t)),
  ]),
  squaredDifference: pairGrad((t, g, a, b) => [
    () => t.mul(g, t.mul(t.sub(a, b), 2)),
    () => t.mul(g, t.mul(t.sub(b, a), 2)),
  ]),
  pow: pairGrad((t, g, a, b, y, build) => [
    () => t.mul(g, t.mul(b, build.one(pow, [a, t.sub(b, 1)], {}))),
    () => t.mul(g, t.mul(y, build.one(log, [a], {}))),
  ]),
  prelu: pairGrad((t, g, x, slope, _, build) => {
    const positive = () => build.one(greaterEqual, [x, t.number(0)], {})
    return [
      () => build.one(select, [positive(), g, t.mul(g, slope)], {}),
      () => build.one(select, [positive(), t.number(0), t.mul(g, x)], {}),
    ]
  }),
}

type Curve = (t: Terms, x: Value, y: Value, attrs: Attrs, build: Builder) => Value

/** Where a function of one number has a derivative, as a factor from x and y. */
const CURVES: readonly (readonly [{ readonly name: string }, Curve])[] = [
  [abs, (_, x, _y, _a, build) => build.one(sign, [x], {})],
  [neg, (t) => t.number(-1)],
  [sqrt, (t, _, y) => t.div(0.5, y)],
  [rsqrt, (t, x, y) => t.mul(t.div(y, x), -0.5)],
  [reciprocal, (t, _, y) => t.mul(t.mul(y, y), -1)],
  [square, (t, x) => t.mul(x, 2)],
  [exp, (_, _x, y) => y],
  [log, (t, x) => t.div(1, x)],
  [sin, (_, x, _y, _a, build) => build.one(cos, [x], {})],
  [cos, (t, x, _y, _a, build) => t.mul(build.one(sin, [x], {}), -1)],
  [
    erf,
    (t, x, _y, _a, build) => t.mul(build.one(exp, [t.mul(build.one(square, [x], {}), -1)], {}), 2 / Math.sqrt(Math.PI)),
  ],
  [softplus, (_, x, _y, _a, build) => build.one(logistic, [x], {})],
  [softsign, (t, x, _y, _a, build) => t.div(1, build.one(square, [t.add(build.one(abs, [x], {}), 1)], {}))],
  [logistic, (t, _, y) => t.mul(y, t.sub(1, y))],
  [tanh, (t, _, y) => t.sub(1, t.mul(y, y))],
  [
    swish,
    (t, x, y, { alpha }, build) => {
      const s = build.one(logistic, [t.mul(x, alpha as number)], {})
      return t.add(s, t.mul(t.mul(y, alpha as number), t.sub(1, s)))
    },
  ],
  [
    gelu,
    (t, x, _y, _a, build) => {
      const density = t.mul(build.one(exp, [t.mul(build.one(square, [x], {}), -0.5)], {}), 1 / Math.sqrt(2 * Math.PI))
      const share = t.mul(t.add(build.one(erf, [t.mul(x, Math.SQRT1_2)], {}), 1), 0.5)
      return t.add(t.mul(x, density), share)
    },
  ],
  [
    leakyRelu,
    (t, x, _y, { alpha }, build) =>
      build.one(select, [build.one(greaterEqual, [x, t.number(0)], {}), t.number(1), t.number(alpha as number)], {}),
  ],
  [
    elu,
    (t, x, y, { alpha }, build) =>
      build.one(select, [build.one(greaterEqual, [x, t.number(0)], {}), t.number(1), t.add(y, alpha as number)], {}),
  ],
  [
    hardSwish,
    (t, x, _y, _a, build) => {
      const inside = t.add(t.mul(x, 1 / 3), 0.5)
      const above = build.one(greaterEqual, [x, t.number(3)], {})
      const below = build.one(lessEqual, [x, t.number(-3)], {})
      return build.one(select, [above, t.number(1), build.one(select, [below, t.number(0), inside], {})], {})
    },
  ],
]

function curveGrad(curve: Curve): Grad {
  return (build, { inputs, outputs, attrs }, [g]) => {
    const t = termsOf(build)
    return [t.mul(g!, curve(t, inputs[0]!, outputs[0], attrs, build))]
  }
}

/** Of a step, whose derivative is 0 wherever it has one. */
const flat: Grad = () => [undefined]

const clampGrad: Grad<Attrs> = (build, { outputs, attrs }, [g]) => [build.one(clampGradient, [g!, outputs[0]], attrs)]

const softmaxGrad: Grad<Attrs & { readonly beta: number }> = (build, { outputs: [y], attrs }, [g]) => {
  const t = termsOf(build)
  const last = [y.type.shape.length - 1]
  return [t.mul(t.mul(y, t.sub(g!, t.sum(t.mul(g!, y), last))), attrs.beta)]
}

const logSoftmaxGrad: Grad<Attrs> = (build, { outputs: [y] }, [g]) => {
  const t = termsOf(build)
  const last = [y.type.shape.length - 1]
  return [t.sub(g!, t.mul(build.one(exp, [y], {}), t.sum(g!, last)))]
}

const throughFusedClamp = (build: Builder, node: Node, g: Value) =>
  throughClamp(build, node as unknown as Node<Accumulating>, g)

const RULES = new Map<object, Grad>([
  rule(
    conv2d,
    convGrad<Conv2d>(false, (node) => node.attrs.groups),
  ),
  rule(
    depthwiseConv2d,
    convGrad<DepthwiseConv2d>(true, (node) => node.inputs[0]!.type.shape[3]),
  ),
  rule(partialConv2d, partialGrad<Conv2d>(throughFusedClamp, false)),
  rule(partialDepthwiseConv2d, partialGrad<DepthwiseConv2d>(throughFusedClamp, true)),
  rule(fullyConnected, denseGrad),
  rule(matmul, matmulGrad),
  rule(add, BINARY.add),
  rule(sub, BINARY.sub),
  rule(mul, BINARY.mul),
  rule(div, BINARY.div),
  rule(maximum, PAIRWISE.maximum),
  rule(minimum, PAIRWISE.minimum),
  rule(squaredDifference, PAIRWISE.squaredDifference),
  rule(pow, PAIRWISE.pow),
  rule(prelu, PAIRWISE.prelu),
  ...CURVES.map(([op, curve]): [object, Grad] => [op, curveGrad(curve)]),
  ...[floor, ceil, round, sign].map((op) => rule(op, flat)),
  rule(clamp, clampGrad),
  rule(softmax, softmaxGrad),
  rule(logSoftmax, logSoftmaxGrad),
  rule(
    sum,
    sumGrad(() => 1),
  ),
  rule(
    mean,
    sumGrad((n) => 1 / n),
  ),
  rule(averagePool2d, averagePoolGrad),
  rule(maxPool2d, maxPoolGrad),
  rule(normalize, normalizeGrad),
  rule(select, selectGrad),
  rule(gather, gatherGrad),
  rule(assign, assignGrad),
  rule(update, updateGrad),
  rule(reshape, reshapeGrad),
  rule(transpose, transposeGrad),
  rule(expand, expandGrad),
  rule(pad, padGrad),
  rule(slice, sliceGrad),
  rule(concat, concatGrad),
])

/** The rule of an operator on float32 or on stored integers; undefined where it has none. */
export function gradOf(op: Op, on: 'reals' | 'stored' = 'reals'): Grad | undefined {
  return (on === 'reals' ? RULES : STORED).get(op)
}
