import { describe, expect, it } from 'vitest'
import { ModelError } from '../../src/errors.ts'
import { writeTflite } from '../../src/export/tflite.ts'
import { readModel } from '../../src/import/read.ts'
import { saveGraph } from '../../src/ir/file.ts'
import { printGraph } from '../../src/ir/print.ts'
import { cases } from '../../src/ops/conv2d/cases.ts'

const graph = cases[0].graph()
const latin = (text: string) => Uint8Array.from(text.padEnd(64, '\x01'), (c) => c.charCodeAt(0))

function errorOf(bytes: Uint8Array): ModelError {
  try {
    readModel(bytes)
  } catch (e) {
    if (e instanceof ModelError) return e
    throw e
  }
  throw new Error('the file was read')
}

describe('readModel', () => {
  it('reads .tflite files and saved graphs, whichever it is given', () => {
    expect(printGraph(readModel(writeTflite(graph)))).toBe(printGraph(graph))
    expect(printGraph(readModel(saveGraph(graph)))).toBe(printGraph(graph))
  })

  it.each([
    ['an empty file', new Uint8Array(0), /it is empty/],
    ['zeros', new Uint8Array(100), /begins with zeros/],
    ['a zip archive', latin('PK\x03\x04'), /zip archive/],
    ['a program', latin('\x7fELF'), /compiled program/],
    ['HDF5', latin('\x89HDF\r\n\x1a\n'), /HDF5/],
    ['gzip', latin('\x1f\x8b'), /gzip/],
    ['a damaged ONNX file', latin('\x08\x08\x12\x07pytorch'), /no readable protobuf/],
    ['a Git LFS pointer', latin('version https://git-lfs.github.com/spec/v1\n'), /Git LFS/],
    ['a web page', new TextEncoder().encode('\n<!DOCTYPE html><html>'), /web page/],
    ['text', new TextEncoder().encode('hello'), /it is text/],
    ['a few bytes', Uint8Array.of(200, 1, 2), /only 3 bytes/],
    ['anything else', latin('\xc8\xc8'), /does not have "TFL3"/],
  ])('says what the bytes look like: %s', (_, bytes, what) => {
    const error = errorOf(bytes)
    expect(error.message).toMatch(what)
    expect(error.hint).toBeTruthy()
  })

  it('refuses the first half of a model', () => {
    const bytes = writeTflite(graph)
    expect(errorOf(bytes.subarray(0, bytes.length >> 1)).hint).toMatch(/truncated/)
  })
})
