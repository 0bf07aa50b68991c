// The vocabulary files of llama2.c: the length of the longest piece, then for each token a score, a length and its bytes.

/** The pieces of text, by token. */
export function readVocabulary(bytes: Uint8Array): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const pieces: Uint8Array[] = []
  for (let at = 4; at < bytes.length; ) {
    const length = view.getInt32(at + 4, true)
    pieces.push(bytes.subarray(at + 8, at + 8 + length))
    at += 8 + length
  }
  return pieces
}

/** Tokens as text, without the space that begins it; `<0x0A>` stands for one byte. */
export function decode(tokens: readonly number[], vocabulary: readonly Uint8Array[]): string {
  const text = tokens.map((t) => {
    const piece = new TextDecoder().decode(vocabulary[t])
    const byte = /^<0x([0-9A-F]{2})>$/.exec(piece)
    return byte ? String.fromCharCode(Number.parseInt(byte[1], 16)) : piece
  })
  return text.join('').replace(/^ /, '')
}
