/** In Node: onnxruntime-node runs the model, sharp decodes files where it is installed. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import * as ort from "onnxruntime-node";

import { ImageError, ModelError } from "./errors.js";
import type { Limits, Rgba } from "./pixels.js";
import type { Options, Platform } from "./scorer.js";
import { Scorer } from "./scorer.js";

export { ImageError, ModelError } from "./errors.js";
export type { ErrorCode } from "./errors.js";
export type { Distortion } from "./explanation.js";
export type { Limits, Rgba } from "./pixels.js";
export type { QualityMap } from "./quality-map.js";
export type { Options, Score, Scorer, Source } from "./scorer.js";

/** The built-in model, which comes with the package. */
const BUILT_IN = new URL("../model/", import.meta.url);

/**
 * Load a model.
 *
 * @param model A bundle's folder; the built-in model where none is named.
 * @throws ModelError where it is missing, damaged, or cannot explain.
 */
export async function load(model: string | URL = BUILT_IN, options: Options = {}): Promise<Scorer<never>> {
  return Scorer.load(new Node(model instanceof URL ? fileURLToPath(model) : model), options);
}

class Node implements Platform<never> {
  constructor(private readonly folder: string) {}

  async read(name: string): Promise<Uint8Array> {
    const path = join(this.folder, name);
    try {
      return await readFile(path);
    } catch (error) {
      throw new ModelError(`${path} cannot be read: ${(error as Error).message}`, { cause: error });
    }
  }

  open(graph: Uint8Array): Promise<ort.InferenceSession> {
    return ort.InferenceSession.create(graph);
  }

  tensor(data: Uint8Array, dims: readonly number[]): ort.Tensor {
    return new ort.Tensor("uint8", data, dims);
  }

  async decode(source: Uint8Array, limits: Limits): Promise<Rgba> {
    const { default: sharp } = await import("sharp").catch((error: unknown) => {
      throw new ImageError("unsupported", "files are decoded by sharp, which is not installed: npm install sharp", {
        cause: error,
      });
    });
    const picture = sharp(source, { failOn: "error", limitInputPixels: false });
    try {
      const { width, height } = await picture.metadata();
      if (width * height > limits.pixels) {
        throw new ImageError("too_large", `${width} × ${height}; the limit is ${limits.pixels} pixels`);
      }
      const upright = picture.autoOrient().toColourspace("srgb").ensureAlpha().raw({ depth: "uchar" });
      const { data, info } = await upright.toBuffer({ resolveWithObject: true });
      return { width: info.width, height: info.height, data };
    } catch (error) {
      if (error instanceof ImageError) throw error;
      throw new ImageError("corrupt", `it cannot be decoded: ${(error as Error).message}`, { cause: error });
    }
  }
}
