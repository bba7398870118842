/** What a platform decoded becomes RGB, within limits. */
import { ImageError } from "./errors.js";
import type { Pixels } from "./resampling.js";

/** uint8 [height, width, 4], RGBA, not premultiplied: a browser's `ImageData`, and what looks like it. */
export interface Rgba {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray | Uint8Array;
}

/** What a photograph may ask for before it is refused as "too_large". */
export interface Limits {
  /** Of a file, in bytes. */
  readonly fileBytes: number;
  /** Width × height. */
  readonly pixels: number;
}

export const LIMITS: Limits = { fileBytes: 200_000_000, pixels: 256_000_000 };

/** What stands behind transparent parts. */
const GREY = 128;

export function checkSize(width: number, height: number, limits: Limits): void {
  if (!(width >= 1 && height >= 1)) throw new ImageError("corrupt", `it has ${width} × ${height} pixels`);
  if (width * height > limits.pixels) {
    const megapixels = (count: number) => `${(count / 1e6).toFixed(1)} MP`;
    const message = `${width} × ${height} is ${megapixels(width * height)}; the limit is ${megapixels(limits.pixels)}`;
    throw new ImageError("too_large", message);
  }
}

/** RGB over mid-grey; `transparent` says whether any of that is seen. */
export function overGrey(image: Rgba): { pixels: Pixels; transparent: boolean } {
  const { width, height, data } = image;
  if (data.length !== width * height * 4) {
    throw new ImageError("unsupported", `${width} × ${height} pixels of RGBA have other than ${data.length} bytes`);
  }
  const rgb = new Uint8Array(width * height * 3);
  let least = 255;
  let most = 0;
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3) {
    const alpha = data[from + 3];
    least = Math.min(least, alpha);
    most = Math.max(most, alpha);
    for (let channel = 0; channel < 3; channel++) {
      rgb[to + channel] = alpha === 255 ? data[from + channel] : blended(data[from + channel], alpha);
    }
  }
  if (most === 0) throw new ImageError("empty", "every pixel is transparent: there is nothing to score");
  return { pixels: { width, height, data: rgb }, transparent: least < 255 };
}

/** A share of alpha / 255, rounded as Pillow's `paste` rounds it. */
function blended(value: number, alpha: number): number {
  const sum = value * alpha + GREY * (255 - alpha) + 128;
  return ((sum >> 8) + sum) >> 8;
}
