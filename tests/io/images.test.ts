import jpeg from 'jpeg-js'
import { PNG, type PNGOptions } from 'pngjs'
import { describe, expect, it } from 'vitest'
import { InputError } from '../../src/errors.ts'
import { decodeImage, imageFormat } from '../../src/io/images.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import {
  centreCrop,
  cropToProportions,
  type Image,
  RESAMPLINGS,
  resize,
  resizeShortSide,
  withChannels,
} from '../../src/web/resize.ts'

function random(width: number, height: number, channels: 1 | 3): Image {
  const data = new Xorshift32(7).fill({ dtype: 'u8', shape: [height, width, channels] }) as Uint8Array
  return { width, height, channels, data }
}

function grey(width: number, ...pixels: number[]): Image {
  return { width, height: pixels.length / width, channels: 1, data: Uint8Array.from(pixels) }
}

function png({ width, height, data }: Image, alpha = 17): Uint8Array {
  const file = new PNG({ width, height })
  for (let i = 0; i < width * height; i++) file.data.set([...data.subarray(3 * i, 3 * i + 3), alpha], 4 * i)
  return new Uint8Array(PNG.sync.write(file))
}

/** A BMP of colours (24 or 32 bits) or of the indices of a grey palette that runs backwards (8 bits). */
function bmp(image: Image, bits: 8 | 24 | 32, topDown = false): Uint8Array {
  const { width, height } = image
  const stride = 4 * Math.ceil((width * bits) / 32)
  const start = 54 + (bits === 8 ? 1024 : 0)
  const bytes = new Uint8Array(start + stride * height)
  const view = new DataView(bytes.buffer)
  bytes.set([0x42, 0x4d])
  const words: readonly (readonly [number, number])[] = [
    [2, bytes.length],
    [10, start],
    [14, 40],
    [18, width],
    [22, topDown ? -height : height],
    [26, 1 | (bits << 16)],
  ]
  for (const [at, word] of words) view.setUint32(at, word, true)
  if (bits === 8) for (let i = 0; i < 256; i++) bytes.set([255 - i, 255 - i, 255 - i], 54 + 4 * i)
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < bits >> 3; c++)
        bytes[start + (topDown ? y : height - 1 - y) * stride + (x * bits) / 8 + c] =
          bits === 8 ? 255 - image.data[y * width + x] : c < 3 ? image.data[3 * (y * width + x) + 2 - c] : 9
  return bytes
}

describe('decodeImage', () => {
  const picture = random(5, 3, 3)

  it('reads PNG as RGB and drops alpha', () => {
    expect(imageFormat(png(picture))).toBe('PNG')
    expect(decodeImage(png(picture))).toEqual(picture)
  })

  it('reads grey and 16-bit PNG', () => {
    const { width, height, data } = withChannels(withChannels(picture, 1), 3)
    const written = (pixels: Buffer, options: PNGOptions) => {
      const file = new PNG({ width, height })
      file.data = pixels
      return new Uint8Array(PNG.sync.write(file, options))
    }
    const opaque = Array.from({ length: width * height }, (_, i) => [...data.subarray(3 * i, 3 * i + 3), 255]).flat()
    expect(decodeImage(written(Buffer.from(opaque), { colorType: 0 }))).toEqual({ width, height, channels: 3, data })
    const wide = Buffer.from(Uint16Array.from(opaque, (p) => 257 * p).buffer)
    const deep = written(wide, { colorType: 6, bitDepth: 16 })
    expect(deep[24]).toBe(16)
    expect(decodeImage(deep)).toEqual({ width, height, channels: 3, data })
  })

  it('reads BMP of 8, 24 and 32 bits, from the bottom up and from the top down', () => {
    const alike = withChannels(picture, 1)
    for (const topDown of [false, true]) {
      expect(decodeImage(bmp(picture, 24, topDown))).toEqual(picture)
      expect(decodeImage(bmp(picture, 32, topDown))).toEqual(picture)
      expect(decodeImage(bmp(alike, 8, topDown))).toEqual(withChannels(alike, 3))
    }
  })

  it('reads JPEG to within its loss', () => {
    const [width, height] = [20, 9]
    const data = Buffer.from(Array.from({ length: width * height }, (_, i) => [12 * (i % width), 128, 90, 255]).flat())
    const { width: w, height: h, channels, data: pixels } = decodeImage(jpeg.encode({ width, height, data }, 95).data)
    expect([w, h, channels]).toEqual([width, height, 3])
    const error = Array.from(pixels, (p, i) => Math.abs(p - data[4 * Math.floor(i / 3) + (i % 3)]))
    expect(Math.max(...error)).toBeLessThan(12)
  })

  const wide = png(picture)
  new DataView(wide.buffer).setUint32(16, 2 ** 20)
  new DataView(wide.buffer).setUint32(20, 2 ** 20)
  const flipped = png(picture).map((b, i) => (i === 45 ? b ^ 255 : b))
  const photo = jpeg.encode({ width: 8, height: 8, data: Buffer.alloc(256) }, 50).data
  const packed = bmp(picture, 24)
  packed[30] = 1
  it.each<[string, Uint8Array, RegExp]>([
    ['text', new TextEncoder().encode('hello'), /is not a PNG, JPEG or BMP file/],
    ['a PNG that ends early', png(picture).subarray(0, 40), /is not a valid PNG file/],
    ['a PNG without a header', png(picture).subarray(0, 20), /ends within its header/],
    ['a PNG with a wrong checksum', flipped, /is not a valid PNG file/],
    ['a PNG of a terapixel', wide, /has 1048576 x 1048576 pixels, supported are 1 to 100 million/],
    ['a JPEG that ends early', photo.subarray(0, 200), /is not a valid JPEG file/],
    ['a compressed BMP', packed, /BMP of 24 bits a pixel, compression 1; supported are 8, 24 and 32/],
  ])('refuses %s', (_, bytes, reason) => {
    expect(() => decodeImage(bytes, 'input x')).toThrow(InputError)
    expect(() => decodeImage(bytes, 'input x')).toThrow(reason)
    expect(() => decodeImage(bytes, 'input x')).toThrow(/^input x: /)
  })
})

describe('damaged files', () => {
  const picture = random(9, 7, 3)
  const pixels = Buffer.from(new Xorshift32(3).fill({ dtype: 'u8', shape: [9 * 7 * 4] }) as Uint8Array)
  it.each<[string, Uint8Array]>([
    ['PNG', png(picture)],
    ['JPEG', new Uint8Array(jpeg.encode({ width: 9, height: 7, data: pixels }, 80).data)],
    ['BMP', bmp(picture, 24)],
  ])('a damaged %s gives a picture or an InputError, nothing else', (_, good) => {
    const random = new Xorshift32(11)
    let refused = 0
    for (let i = 0; i < 300; i++) {
      const bytes = good.slice(0, i % 3 === 0 ? 1 + (random.next() % good.length) : good.length)
      for (let flips = random.next() % 4; flips >= 0; flips--)
        bytes[random.next() % bytes.length] = random.next() >>> 24
      try {
        const { width, height, data } = decodeImage(bytes)
        expect(data).toHaveLength(width * height * 3)
      } catch (e) {
        expect(e).toBeInstanceOf(InputError)
        refused++
      }
    }
    expect(refused).toBeGreaterThan(30)
  })
})

describe('withChannels', () => {
  it('grey is the luma of the colours, and grey again is the same', () => {
    const colours: Image = {
      width: 4,
      height: 1,
      channels: 3,
      data: Uint8Array.of(255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9),
    }
    const luma = withChannels(colours, 1)
    expect([...luma.data]).toEqual([76, 150, 29, 9])
    expect(withChannels(withChannels(luma, 3), 1)).toEqual(luma)
  })
})

describe('resize', () => {
  it('keeps every byte where the size stays', () => {
    const picture = random(7, 5, 3)
    expect(resize(picture, 7, 5)).toEqual(picture)
  })

  it('keeps a flat picture flat, larger and smaller', () => {
    const flat: Image = { width: 13, height: 11, channels: 3, data: new Uint8Array(13 * 11 * 3).fill(255) }
    for (const [width, height] of [
      [1, 1],
      [5, 8],
      [13, 4],
      [40, 31],
    ])
      expect(new Set(resize(flat, width, height).data)).toEqual(new Set([255]))
  })

  it('interpolates where it grows', () => {
    expect([...resize(grey(2, 0, 100), 4, 1).data]).toEqual([0, 25, 75, 100])
    expect([...resize(grey(1, 0, 100), 1, 4).data]).toEqual([0, 25, 75, 100])
  })

  it('filters over the area where it shrinks: no pixel is passed over', () => {
    // Triangles of radius 2 around 1 and 3 with weights 1, 3, 3, 1 eighths, cut off at the edge.
    const at = (i: number) => resize(grey(4, ...[0, 1, 2, 3].map((k) => (k === i ? 210 : 0))), 2, 1).data
    expect([0, 1, 2, 3].map((i) => [...at(i)])).toEqual([
      [90, 0],
      [90, 30],
      [30, 90],
      [0, 90],
    ])
  })

  it('agrees with the filter summed in real numbers to one step', () => {
    const { width, height, channels, data } = random(17, 13, 3)
    const weights = (from: number, to: number, i: number) => {
      const radius = Math.max(1, from / to)
      const w = Array.from({ length: from }, (_, k) =>
        Math.max(0, 1 - Math.abs(k + 0.5 - ((i + 0.5) * from) / to) / radius),
      )
      const sum = w.reduce((a, b) => a + b)
      return w.map((x) => x / sum)
    }
    for (const [w, h] of [
      [6, 6],
      [23, 4],
      [9, 20],
    ]) {
      const got = resize({ width, height, channels, data }, w, h).data
      for (let y = 0; y < h; y++)
        for (let x = 0; x < w; x++) {
          const [across, down] = [weights(width, w, x), weights(height, h, y)]
          let want = 0
          for (const [r, d] of down.entries())
            for (const [c, a] of across.entries()) want += d * a * data[(r * width + c) * 3 + 1]
          expect(Math.abs(got[(y * w + x) * 3 + 1] - want)).toBeLessThan(1.01)
        }
    }
  })

  it('takes the nearest pixel, of two the later', () => {
    const row = grey(4, 10, 20, 30, 40)
    expect([...resize(row, 2, 1, 'nearest').data]).toEqual([20, 40])
    expect([...resize(row, 3, 1, 'nearest').data]).toEqual([10, 30, 40])
    expect([...resize(row, 8, 1, 'nearest').data]).toEqual([10, 10, 20, 20, 30, 30, 40, 40])
    expect([...resize(grey(1, 10, 20), 1, 4, 'nearest').data]).toEqual([10, 10, 20, 20])
  })

  it('takes the mean of the area that a pixel covers', () => {
    const row = grey(3, 0, 90, 240)
    expect([...resize(row, 1, 1, 'area').data]).toEqual([110])
    expect([...resize(row, 2, 1, 'area').data]).toEqual([30, 190]) // (0 + 90 / 2) / 1.5, (90 / 2 + 240) / 1.5
    expect([...resize(row, 6, 1, 'area').data]).toEqual([0, 0, 90, 90, 240, 240])
    expect([...resize(grey(2, 0, 4, 8, 12), 1, 1, 'area').data]).toEqual([6])
  })

  it.each(RESAMPLINGS)(
    '%s keeps every pixel within the range of its picture, and a picture of its size as it is',
    (by) => {
      const picture = random(13, 9, 3)
      expect(resize(picture, 13, 9, by)).toEqual(picture)
      const white: Image = { ...picture, data: picture.data.map(() => 255) }
      for (const [w, h] of [
        [1, 1],
        [5, 7],
        [13, 3],
        [29, 31],
      ]) {
        const { data } = resize(white, w, h, by)
        expect([data.length, new Set(data)]).toEqual([w * h * 3, new Set([255])])
      }
    },
  )

  it('refuses sizes that are none', () => {
    for (const size of [0, -1, 1.5, Number.NaN]) expect(() => resize(grey(1, 0), size, 1)).toThrow(InputError)
  })
})

describe('crops', () => {
  const row = (n: number) => grey(n, ...Array.from({ length: n }, (_, i) => i))

  it('takes the middle, half a pixel to the even side', () => {
    expect([5, 6, 7, 9].map((n) => [...centreCrop(row(n), 4, 1).data])).toEqual([
      [0, 1, 2, 3],
      [1, 2, 3, 4],
      [2, 3, 4, 5],
      [2, 3, 4, 5],
    ])
    expect(() => centreCrop(row(3), 4, 1)).toThrow(/takes 4 x 1 pixels of 3 x 1/)
  })

  it('keeps the channels together', () => {
    const picture = random(4, 4, 3)
    const inner = centreCrop(picture, 2, 2)
    expect([...inner.data]).toEqual([...picture.data.subarray(15, 21), ...picture.data.subarray(27, 33)])
  })

  it('resizes the short side and keeps the proportions', () => {
    const size = ({ width, height }: Image) => [width, height]
    expect(size(resizeShortSide(random(50, 33, 1), 10))).toEqual([15, 10])
    expect(size(resizeShortSide(random(33, 50, 1), 10))).toEqual([10, 15])
  })

  it('fits a picture to a size by its middle', () => {
    const wide = grey(6, 9, 0, 0, 0, 0, 9, 9, 0, 0, 0, 0, 9)
    const fitted = (width: number, height: number) => resize(cropToProportions(wide, width, height), width, height)
    expect([...fitted(3, 1).data]).toEqual([4, 0, 4])
    expect([...fitted(2, 2).data]).toEqual([0, 0, 0, 0])
  })
})
