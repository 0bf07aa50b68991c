// The list of operators, one line each.

export { conv2d } from './conv2d/op.ts'
