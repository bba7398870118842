/** Where in a photograph its score comes from, as `dgqa_infer.quality_map`. */
import type { Box } from "./preprocessing.js";
import { round } from "./preprocessing.js";
import { taps } from "./resampling.js";

// What a crop says of a place at its very edge counts so little beside one that has the place in its middle.
const LEAST_WEIGHT = 1e-3;

/** The quality of each part of a photograph that the network looked at. */
export class QualityMap {
  constructor(
    /** Of each crop, [cells, cells] 0–10. The mean of all is the photograph's raw quality. */
    readonly cells: readonly Float32Array[],
    /** Where each crop lies. */
    readonly places: readonly Box[],
  ) {}

  /**
   * The map spread out over a picture of the photograph, for the eye.
   *
   * @returns float32 [height, width]; NaN where no crop lies.
   */
  over(width: number, height: number): Float32Array {
    const total = new Float64Array(width * height);
    const weights = new Float64Array(width * height);
    this.cells.forEach((cells, index) => {
      const [left, top, right, bottom] = this.places[index];
      const [x0, x1] = pixels(left, right, width);
      const [y0, y1] = pixels(top, bottom, height);
      const values = spread(cells, x1 - x0, y1 - y0);
      for (let y = y0, i = 0; y < y1; y++) {
        for (let x = x0; x < x1; x++, i++) {
          const weight = tent(y - y0, y1 - y0) * tent(x - x0, x1 - x0);
          total[y * width + x] += weight * values[i];
          weights[y * width + x] += weight;
        }
      }
    });
    return Float32Array.from(total, (each, i) => each / weights[i]);
  }
}

/** The pixels of a row that a share of it covers, at least one. */
function pixels(start: number, end: number, count: number): [number, number] {
  const first = Math.min(round(start * count), count - 1);
  return [first, Math.max(first + 1, round(end * count))];
}

/** Weights that rise from a crop's edge to its middle. */
function tent(place: number, count: number): number {
  return Math.max(1 - Math.abs((2 * (place + 0.5)) / count - 1), LEAST_WEIGHT);
}

/** Square cells, interpolated between their centres. */
function spread(cells: Float32Array, width: number, height: number): Float32Array {
  const side = Math.sqrt(cells.length);
  const x = taps(side, width, "bilinear", "pillow");
  const y = taps(side, height, "bilinear", "pillow");
  const result = new Float32Array(width * height);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      let sum = 0;
      for (let j = 0; j < y.count[row]; j++) {
        for (let i = 0; i < x.count[column]; i++) {
          const weight = y.weights[row * y.widest + j] * x.weights[column * x.widest + i];
          sum += weight * cells[(y.first[row] + j) * side + x.first[column] + i];
        }
      }
      result[row * width + column] = sum;
    }
  }
  return result;
}
