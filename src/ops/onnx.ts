// What operators share in reading .onnx: attributes with their defaults, and axes that may count from the end.

import { ModelError } from '../errors.ts'
import type { OnnxNode } from '../ir/op.ts'
import { constantNumbers } from './tflite.ts'

/** A whole number or float attribute, or its default. */
export function numberAttr(node: OnnxNode, name: string, otherwise: number): number {
  const v = node.attrs[name]
  return typeof v === 'number' ? v : otherwise
}

/** A string attribute, or its default. */
export function stringAttr(node: OnnxNode, name: string, otherwise: string): string {
  const v = node.attrs[name]
  return typeof v === 'string' ? v : otherwise
}

/** A list of numbers, or undefined where the node does not say. */
export function listAttr(node: OnnxNode, name: string): readonly number[] | undefined {
  const v = node.attrs[name]
  return Array.isArray(v) && v.every((n) => typeof n === 'number') ? (v as readonly number[]) : undefined
}

/** A list that older operator sets have as attribute `name` and newer ones as constant input `i`. */
export function listOf(node: OnnxNode, name: string, i: number, where: string): readonly number[] | undefined {
  return node.inputs[i] ? constantNumbers(node, i, name, where) : listAttr(node, name)
}

/** An axis in [-rank, rank) counted from 0. */
export function axisOf(axis: number, rank: number, where: string): number {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank)
    throw new ModelError(where, `axis is ${axis}, the tensor has ${rank} dimensions`)
  return axis < 0 ? axis + rank : axis
}
