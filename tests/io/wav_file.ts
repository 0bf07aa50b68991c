// A WAVE file of given bytes, for tests.

export function wav(code: number, bits: number, channels: number, data: readonly number[], rate = 16000): Uint8Array {
  const bytes = new Uint8Array(44 + data.length)
  const view = new DataView(bytes.buffer)
  const text = (at: number, s: string) => bytes.set(new TextEncoder().encode(s), at)
  text(0, 'RIFF....WAVEfmt ')
  view.setUint32(16, 16, true)
  view.setUint16(20, code, true)
  view.setUint16(22, channels, true)
  view.setUint32(24, rate, true)
  view.setUint16(34, bits, true)
  text(36, 'data')
  view.setUint32(40, data.length, true)
  bytes.set(data, 44)
  return bytes
}
