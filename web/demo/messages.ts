/** What the page and its worker tell each other. */
import type { Distortion } from "../src/browser.js";

export interface Ask {
  readonly id: number;
  readonly file: Blob;
  /** Longer side of the map, in pixels. */
  readonly side: number;
}

/** float32 [height, width], scores 0–100; NaN where nothing is known. */
export interface Field {
  readonly width: number;
  readonly height: number;
  readonly values: Float32Array;
}

export type Answer =
  | { readonly kind: "ready"; readonly model: string }
  | { readonly kind: "broken"; readonly message: string }
  | { readonly kind: "failed"; readonly id: number; readonly code: string; readonly message: string }
  | {
      readonly kind: "scored";
      readonly id: number;
      readonly score: number;
      readonly raw: number;
      readonly distortions: readonly Distortion[];
      readonly warnings: readonly string[];
      readonly map: Field;
    };
