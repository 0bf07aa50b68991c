import fc from 'fast-check'
import { expect, test } from 'vitest'
import { InputError } from '../../src/errors.ts'
import { type Classification, evaluate, type Told, truthOf, wilson } from '../../src/report/evaluation.ts'
import { evaluationText } from '../../src/report/evaluation_text.ts'

test('the interval of Wilson is the published one', () => {
  // 81 of 263: Newcombe (1998), table I.
  for (const [right, of, lo, hi] of [
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
  ]) {
    const [a, b] = wilson(right, of)
    expect([a.toFixed(4), b.toFixed(4)]).toEqual([lo.toFixed(4), hi.toFixed(4)])
  }
  expect(wilson(7, 7)[1]).toBe(1)
  expect(wilson(0, 0)).toEqual([0, 1])
})

const told = (truths: string[], more: Partial<Told> = {}): Told => ({
  truths,
  classes: [...new Set(truths)].sort(),
  ordered: false,
  ...more,
})

test.each<[string, Told, number, number[], string | undefined]>([
  ['lines of the labels', told(['dog', 'cat'], { labels: ['cat', 'dog', 'eel'] }), 3, [1, 0], undefined],
  ['lines in another case', told(['DOG '], { labels: ['Cat', 'Dog'] }), 2, [1], undefined],
  ['indices beside labels', told(['2', '0'], { labels: ['cat', 'dog', 'eel'] }), 3, [2, 0], undefined],
  ['indices', told(['10', '2']), 11, [10, 2], undefined],
  [
    'as many indices as outputs, in the order of numbers',
    told(['0', '1', '10'], { classes: Array.from({ length: 11 }, (_, i) => `${i}`).sort() }),
    11,
    [0, 1, 10],
    undefined,
  ],
  [
    'as many names as outputs',
    told(['b', 'a', 'b']),
    2,
    [1, 0, 1],
    'outputs are in the order of the alphabet: 0 = a, 1 = b',
  ],
  [
    'classes in an order of their own',
    told(['b', 'a'], { classes: ['b', 'a', 'c'], ordered: true }),
    3,
    [0, 1],
    undefined,
  ],
  [
    'labels that call the classes of a set otherwise',
    told(['b', 'a'], { classes: ['b', 'a'], ordered: true, labels: ['x', 'y'] }),
    2,
    [0, 1],
    'labels and classes of the set are in one order',
  ],
  [
    'labels that order the classes of a set otherwise',
    told(['b', 'a'], { classes: ['b', 'a'], ordered: true, labels: ['a', 'b'] }),
    2,
    [1, 0],
    undefined,
  ],
  ['two names for one output', told(['yes', 'no']), 1, [1, 0], '0.5 and more means "yes" (the later in the alphabet)'],
  ['bits for one output', told(['0', '1', '1']), 1, [0, 1, 1], '0.5 and more means "1"'],
  ['labels for one output', told(['no', '1'], { labels: ['yes', 'no'] }), 1, [1, 1], '0.5 and more means "no"'],
])('%s are matched', (_, given, outputs, classes, assumed) => {
  expect(truthOf(given, outputs)).toMatchObject({ kind: 'classes', classes })
  expect((truthOf(given, outputs) as { assumed?: string }).assumed).toBe(assumed)
})

test.each<[string, Told, number, RegExp]>([
  ['fewer labels than outputs', told(['a'], { labels: ['a'] }), 2, /^--labels: has 1 labels, the output has 2/],
  ['a class without a line', told(['fox'], { labels: ['a', 'b'] }), 2, /^--labels: has no line "fox"/],
  ['an index too high', told(['2'], { classes: ['2'] }), 2, /"2", the model has 2 outputs/],
  ['fewer names than outputs', told(['a', 'b']), 3, /of the inputs are 2, among them "a", the model has 3 outputs/],
  ['three names for one output', told(['a', 'b', 'c']), 1, /are 3 \(a, b, c\), the model has one output/],
  ['three labels for one output', told(['a'], { labels: ['a', 'b', 'c'] }), 1, /has 3 labels/],
])('%s are refused', (_, given, outputs, says) => {
  expect(() => truthOf(given, outputs)).toThrow(InputError)
  expect(() => truthOf(given, outputs)).toThrow(says)
})

test('numbers for one output are compared as numbers', () => {
  const truth = truthOf(told(['0.5', '-1', '2']), 1)
  const e = evaluate(truth, [[0.5], [0], [0]])
  expect(e).toMatchObject({ kind: 'numbers', meanAbsoluteError: 1 })
  expect(evaluationText(e)).toMatch(/3 numbers: mean absolute error 1\.000, root mean square 1\.291/)
})

test('the first of equal scores wins, and one score is of the second class', () => {
  const names = { kind: 'classes', names: ['a', 'b'], classes: [0, 1, 1] } as const
  expect(
    evaluate(names, [
      [1, 1],
      [0, 2],
      [3, 2],
    ]),
  ).toMatchObject({ predicted: [0, 1, 0], correct: 2 })
  expect(evaluate(names, [[0.49], [0.5], [0.2]])).toMatchObject({ predicted: [0, 1, 0], correct: 2 })
})

const scores = (n: number) =>
  fc.integer({ min: 1, max: 40 }).chain((samples) =>
    fc.tuple(
      fc.array(fc.array(fc.integer({ min: -4, max: 4 }), { minLength: n, maxLength: n }), {
        minLength: samples,
        maxLength: samples,
      }),
      fc.array(fc.nat(n - 1), { minLength: samples, maxLength: samples }),
    ),
  )

test('counts add up, and more of the highest scores are never less often right', () => {
  fc.assert(
    fc.property(scores(5), ([outputs, classes]) => {
      const names = ['a', 'b', 'c', 'd', 'e']
      const at = (top?: number) => evaluate({ kind: 'classes', names, classes }, outputs, top) as Classification
      const e = at(3)
      const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0)
      expect(sum(e.confusion.map(sum))).toBe(classes.length)
      expect(e.confusion.map(sum)).toEqual(e.classes.map((c) => c.samples))
      expect(sum(e.classes.map((c) => c.correct))).toBe(e.correct)
      expect(e.interval[0]).toBeLessThanOrEqual(e.accuracy)
      expect(e.interval[1]).toBeGreaterThanOrEqual(e.accuracy)
      const tops = [2, 3, 4].map((k) => at(k).top!.correct)
      for (const [i, correct] of tops.entries())
        expect(correct).toBeGreaterThanOrEqual(i === 0 ? e.correct : tops[i - 1])
      expect([at(1).top, at(5).top]).toEqual([undefined, undefined])
    }),
  )
})

test('the text has the matrix where it fits, and at most 80 columns', () => {
  const of = (n: number, samples: number) =>
    evaluate(
      {
        kind: 'classes',
        names: Array.from({ length: n }, (_, i) => `class number ${i}\x1b[31m`),
        classes: Array.from({ length: samples }, (_, i) => i % n),
      },
      Array.from({ length: samples }, (_, i) =>
        Array.from({ length: n }, (_, c) => Number(c === (i * i + (i >> 3)) % n)),
      ),
      2,
    )
  expect(evaluationText(of(3, 30))).toMatchInlineSnapshot(`
    "13 of 30 right: 43.3% (95%: 27.4% to 60.8%)
    in the 2 highest scores 21 of 30 right: 70.0% (95%: 52.1% to 83.3%)

    #  class                inputs  right  recall  precision
    0  class number 0 [31m      10      5   50.0%      45.5%
    1  class number 1 [31m      10      5   50.0%      41.7%
    2  class number 2 [31m      10      3   30.0%      42.9%

    #  predicted:    0  1  2
    0  ..ber 0 [31m  5  3  2
    1  ..ber 1 [31m  3  5  2
    2  ..ber 2 [31m  3  4  3"
  `)
  for (const [n, samples, shown] of [
    [10, 9000, /predicted:/],
    [20, 90, /predicted:/],
    [20, 90_000, /confusions/],
    [1000, 2000, /the 12 most frequent of/],
  ] as const) {
    const text = evaluationText(of(n, samples))
    expect(text).toMatch(shown)
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(80)
    expect(text).not.toContain('\x1b')
    expect(text.split('\n').length).toBeLessThan(60)
  }
})
