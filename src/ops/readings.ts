// Operators of the file formats that are several of ours: they are read into those and never written. One line each.

import type { OnnxSpelling, TfliteSpelling } from '../ir/op.ts'

export const TFLITE_READINGS: readonly TfliteSpelling[] = []

export const ONNX_READINGS: readonly OnnxSpelling[] = []
