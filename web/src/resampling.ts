/**
 * Antialiased resizing that gives the Python library's very bytes.
 *
 * It shrinks photographs with fast_image_resize (weights of 16 bits, rows before columns) and enlarges small ones with
 * Pillow (22 bits, columns before rows). The bytes between the two passes are rounded, so the order matters. No canvas
 * resizes like either.
 */

/** uint8 [height, width, 3], RGB. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

export type Filter = "bilinear" | "bicubic" | "lanczos";
export type Resizer = "fast_image_resize" | "pillow";

interface Kernel {
  readonly support: number;
  readonly at: (x: number) => number;
}

const sinc = (x: number) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

const KERNELS: Record<Filter, Kernel> = {
  bilinear: { support: 1, at: (x) => Math.max(1 - Math.abs(x), 0) },
  bicubic: {
    support: 2,
    // Catmull and Rom's: cubic convolution with a = -1/2.
    at: (x) => {
      const d = Math.abs(x);
      if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
      return d < 2 ? (((d - 5) * d + 8) * d - 4) * -0.5 : 0;
    },
  },
  lanczos: { support: 3, at: (x) => (-3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** What one axis takes from the source for each pixel of the result. */
export interface Taps {
  /** The first source pixel of each. */
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** [result, widest], which sum to 1 for each. */
  readonly weights: Float64Array;
  readonly widest: number;
}

/** The weights of one axis: `from` pixels become `to`. */
export function taps(from: number, to: number, filter: Filter, resizer: Resizer): Taps {
  const { support, at } = KERNELS[filter];
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const reach = support * stretch;
  const widest = Math.ceil(reach) * 2 + 1;
  const found = {
    first: new Int32Array(to),
    count: new Int32Array(to),
    weights: new Float64Array(to * widest),
    widest,
  };
  for (let place = 0; place < to; place++) {
    const centre = (place + 0.5) * scale;
    const [low, high] =
      resizer === "pillow"
        ? [Math.trunc(centre - reach + 0.5), Math.trunc(centre + reach + 0.5)]
        : [Math.floor(centre - reach), Math.ceil(centre + reach)];
    const first = Math.max(low, 0);
    const count = Math.min(high, from) - first;
    const row = place * widest;
    let sum = 0;
    for (let k = 0; k < count; k++) {
      sum += found.weights[row + k] = at((k + first - centre + 0.5) * (1 / stretch));
    }
    for (let k = 0; k < count && sum !== 0; k++) found.weights[row + k] /= sum;
    found.first[place] = first;
    found.count[place] = count;
  }
  return found;
}

/** Weights in fixed point, and how many bits stand behind the point. */
function fixed({ weights }: Taps, resizer: Resizer): { values: Int32Array; bits: number } {
  let bits = 22;
  if (resizer === "fast_image_resize") {
    // As many as let the largest weight fit 16 bits.
    const largest = weights.reduce((most, each) => Math.max(most, each), 0);
    for (bits = 0; bits < 21 && Math.floor(largest * 2 ** (bits + 1) + 0.5) < 32768; ) bits++;
  }
  // Halves away from zero, as both round.
  const round = (value: number) => Math.sign(value) * Math.floor(Math.abs(value) * 2 ** bits + 0.5);
  return { values: Int32Array.from(weights, round), bits };
}

function across(source: Pixels, width: number, filter: Filter, resizer: Resizer): Pixels {
  const axis = taps(source.width, width, filter, resizer);
  const { values, bits } = fixed(axis, resizer);
  const half = 1 << (bits - 1);
  const data = new Uint8ClampedArray(width * source.height * 3);
  for (let y = 0, out = 0; y < source.height; y++) {
    for (let x = 0; x < width; x++) {
      let red = half;
      let green = half;
      let blue = half;
      let at = (y * source.width + axis.first[x]) * 3;
      const start = x * axis.widest;
      for (let k = start; k < start + axis.count[x]; k++, at += 3) {
        const weight = values[k];
        red = (red + source.data[at] * weight) | 0;
        green = (green + source.data[at + 1] * weight) | 0;
        blue = (blue + source.data[at + 2] * weight) | 0;
      }
      data[out++] = red >> bits;
      data[out++] = green >> bits;
      data[out++] = blue >> bits;
    }
  }
  return { width, height: source.height, data: new Uint8Array(data.buffer) };
}

function down(source: Pixels, height: number, filter: Filter, resizer: Resizer): Pixels {
  const axis = taps(source.height, height, filter, resizer);
  const { values, bits } = fixed(axis, resizer);
  const row = source.width * 3;
  const data = new Uint8ClampedArray(row * height);
  const sums = new Int32Array(row);
  for (let y = 0; y < height; y++) {
    sums.fill(1 << (bits - 1));
    for (let k = 0; k < axis.count[y]; k++) {
      const weight = values[y * axis.widest + k];
      const at = (axis.first[y] + k) * row;
      for (let i = 0; i < row; i++) sums[i] += source.data[at + i] * weight;
    }
    for (let i = 0; i < row; i++) data[y * row + i] = sums[i] >> bits;
  }
  return { width: source.width, height, data: new Uint8Array(data.buffer) };
}

/** A picture at another size. */
export function resize(source: Pixels, width: number, height: number, filter: Filter, resizer: Resizer): Pixels {
  return resizer === "pillow"
    ? down(across(source, width, filter, resizer), height, filter, resizer)
    : across(down(source, height, filter, resizer), width, filter, resizer);
}
