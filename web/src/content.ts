/** Is this a photograph at all? As `dgqa_infer.images.content` tells it: by how flat it is. */
import type { Pixels } from "./resampling.js";

const FLAT_SHARE = 0.75;
const LEAST_DEVIATION = 2;
const LEAST_SIDE = 224;
const STEP = 4;

/** Whether a picture, as it is cut into crops, is as flat as screenshots, slides, logos and empty frames are. */
export function looksLikeNoPhotograph({ width, height, data }: Pixels): boolean {
  if (Math.min(width, height) < LEAST_SIDE) return false;
  const row = width * 3;
  let flat = 0;
  let looked = 0;
  const luma: number[] = [];
  for (let y = 0; y < height - 1; y += STEP) {
    for (let x = 0; x < width; x++) {
      const at = y * row + x * 3;
      if (x % STEP === 0) luma.push(0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2]);
      if (x === width - 1) continue;
      looked += 1;
      if (same(data, at, at + 3) && same(data, at, at + row)) flat += 1;
    }
  }
  return flat >= FLAT_SHARE * looked || deviation(luma) < LEAST_DEVIATION;
}

function same(data: Uint8Array, one: number, other: number): boolean {
  return data[one] === data[other] && data[one + 1] === data[other + 1] && data[one + 2] === data[other + 2];
}

function deviation(values: readonly number[]): number {
  const mean = values.reduce((sum, each) => sum + each, 0) / values.length;
  return Math.sqrt(values.reduce((sum, each) => sum + (each - mean) ** 2, 0) / values.length);
}
