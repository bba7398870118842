/** In a browser, or in a worker of one: onnxruntime-web runs the model, the browser decodes. */
import * as ort from "onnxruntime-web/wasm";

import { ImageError, ModelError } from "./errors.js";
import type { Limits, Rgba } from "./pixels.js";
import { checkSize } from "./pixels.js";
import type { Options, Platform } from "./scorer.js";
import { Scorer } from "./scorer.js";

export { ImageError, ModelError } from "./errors.js";
export type { ErrorCode } from "./errors.js";
export type { Distortion } from "./explanation.js";
export type { Limits, Rgba } from "./pixels.js";
export type { QualityMap } from "./quality-map.js";
export type { Options, Score, Scorer, Source } from "./scorer.js";

/** What a browser has besides bytes. */
export type BrowserSource = Blob | ImageBitmap | ImageData;

/**
 * Load a model.
 *
 * @param model Address of a bundle's folder, with `card.json`, `model.onnx` and `domains.onnx`; relative to the page.
 * @throws ModelError where it is missing, damaged, or cannot explain.
 */
export async function load(model: string | URL, options: Options = {}): Promise<Scorer<BrowserSource>> {
  const folder = new URL(`${String(model).replace(/\/$/, "")}/`, globalThis.location.href);
  return Scorer.load(new Browser(folder), options);
}

class Browser implements Platform<BrowserSource> {
  constructor(private readonly folder: URL) {}

  async read(name: string): Promise<Uint8Array> {
    const address = new URL(name, this.folder);
    const answer = await fetch(address).catch((error: Error) => {
      throw new ModelError(`${address} cannot be had: ${error.message}`, { cause: error });
    });
    if (!answer.ok) throw new ModelError(`${address} cannot be had: ${answer.status} ${answer.statusText}`);
    return new Uint8Array(await answer.arrayBuffer());
  }

  open(graph: Uint8Array): Promise<ort.InferenceSession> {
    return ort.InferenceSession.create(graph, { executionProviders: ["wasm"] });
  }

  tensor(data: Uint8Array, dims: readonly number[]): ort.Tensor {
    return new ort.Tensor("uint8", data, dims);
  }

  async decode(source: BrowserSource | Uint8Array, limits: Limits): Promise<Rgba> {
    if (source instanceof ImageBitmap) return drawn(source, limits);
    const file = source instanceof Uint8Array ? new Blob([source as Uint8Array<ArrayBuffer>]) : source;
    if (file instanceof Blob && file.size > limits.fileBytes) {
      throw new ImageError("too_large", `${file.size} bytes; the limit is ${limits.fileBytes}`);
    }
    let bitmap: ImageBitmap;
    try {
      // Upright and sRGB; colours of transparent pixels are kept.
      bitmap = await createImageBitmap(file, { imageOrientation: "from-image", premultiplyAlpha: "none" });
    } catch (error) {
      throw new ImageError("corrupt", `the browser cannot decode it: ${(error as Error).message}`, { cause: error });
    }
    try {
      return drawn(bitmap, limits);
    } finally {
      bitmap.close();
    }
  }
}

function drawn(bitmap: ImageBitmap, limits: Limits): Rgba {
  checkSize(bitmap.width, bitmap.height, limits);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true, colorSpace: "srgb" });
  if (context === null) throw new ImageError("too_large", "the browser has no canvas for a picture of this size");
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}
