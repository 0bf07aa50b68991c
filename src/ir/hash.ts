// FNV-1a, 32 bits: the hash by which tensors, files and layouts are compared (http://www.isthe.com/chongo/tech/comp/fnv). And the
// CRC-32 of IEEE 802.3, where others ask for it or damage is to be found.

/** The hash of raw bytes, as an unsigned number. `start` continues an earlier hash. */
export function fnv1a(bytes: Uint8Array, start = 0x811c9dc5): number {
  let h = start
  for (let i = 0; i < bytes.length; i++) h = Math.imul(h ^ bytes[i], 0x01000193)
  return h >>> 0
}

/** Eight lower-case hex digits. */
export function hex8(hash: number): string {
  return (hash >>> 0).toString(16).padStart(8, '0')
}

/** The hash of a typed array's bytes, or of a text's UTF-8, in eight hex digits. */
export function fingerprint(data: ArrayBufferView | string): string {
  if (typeof data === 'string') return hex8(fnv1a(new TextEncoder().encode(data)))
  return hex8(fnv1a(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)))
}

const CRC = Uint32Array.from({ length: 256 }, (_, i) => {
  let c = i
  for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1
  return c
})

/** The CRC-32 of raw bytes, as an unsigned number. */
export function crc32(bytes: Uint8Array): number {
  let c = 0xffffffff
  for (const b of bytes) c = (c >>> 8) ^ CRC[(c ^ b) & 255]
  return ~c >>> 0
}
