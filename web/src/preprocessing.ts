/** A photograph becomes crops, as `dgqa_infer.images.crops` cuts them from an array. */
import { looksLikeNoPhotograph } from "./content.js";
import type { Filter, Pixels } from "./resampling.js";
import { resize } from "./resampling.js";

/** The card's `preprocessing`. `decoded_side` is about how JPEGs are decoded, and here the platform does that. */
export interface Preprocessing {
  readonly id: string;
  readonly short_side: number;
  readonly crop: number;
  readonly grid: 1 | 5 | 9;
  readonly filter: Filter;
  readonly decoded_side?: number;
  readonly resizer?: "fast_image_resize";
}

/** Left, upper, right and lower edge, as shares of width and height. */
export type Box = readonly [left: number, top: number, right: number, bottom: number];

const THIRDS = [0, 0.5, 1];
const GRIDS: Record<number, readonly (readonly [x: number, y: number])[]> = {
  1: [[0.5, 0.5]],
  5: [[0, 0], [1, 0], [0, 1], [1, 1], [0.5, 0.5]],
  9: THIRDS.flatMap((y) => THIRDS.map((x) => [x, y] as const)),
};

/** To the nearest integer, halves to the even one, as Python rounds. */
export function round(value: number): number {
  const below = Math.floor(value);
  const over = value - below;
  if (over !== 0.5) return over < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}

/**
 * Cut the fixed grid of crops.
 *
 * @returns uint8 [grid, crop, crop, 3], and warnings: "not_a_photograph", "upscaled" where they had to be enlarged.
 */
export function crops(photograph: Pixels, how: Preprocessing): { data: Uint8Array; warnings: string[] } {
  const image = shrunk(photograph, how);
  const side = Math.min(how.crop, image.width, image.height);
  const size = how.crop * how.crop * 3;
  const data = new Uint8Array(how.grid * size);
  GRIDS[how.grid].forEach(([x, y], index) => {
    const square = cut(image, round(x * (image.width - side)), round(y * (image.height - side)), side);
    const crop = side < how.crop ? resize(square, how.crop, how.crop, how.filter, "pillow") : square;
    data.set(crop.data, index * size);
  });
  return {
    data,
    warnings: [...(looksLikeNoPhotograph(image) ? ["not_a_photograph"] : []), ...(side < how.crop ? ["upscaled"] : [])],
  };
}

/** Where in a photograph of this size the crops lie, in their order. */
export function places(width: number, height: number, how: Preprocessing): Box[] {
  const scale = Math.min(1, how.short_side / Math.min(width, height));
  const [w, h] = [round(width * scale), round(height * scale)];
  const side = Math.min(how.crop, w, h);
  return GRIDS[how.grid].map(([x, y]) => {
    const [left, top] = [round(x * (w - side)), round(y * (h - side))];
    return [left / w, top / h, (left + side) / w, (top + side) / h] as const;
  });
}

function shrunk(image: Pixels, how: Preprocessing): Pixels {
  const short = Math.min(image.width, image.height);
  if (short <= how.short_side) return image;
  const scale = how.short_side / short;
  return resize(image, round(image.width * scale), round(image.height * scale), how.filter, how.resizer ?? "pillow");
}

function cut(image: Pixels, left: number, top: number, side: number): Pixels {
  const data = new Uint8Array(side * side * 3);
  for (let y = 0; y < side; y++) {
    const start = ((top + y) * image.width + left) * 3;
    data.set(image.data.subarray(start, start + side * 3), y * side * 3);
  }
  return { width: side, height: side, data };
}
