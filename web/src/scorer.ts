/** A model scores photographs; what differs between browsers and Node is a `Platform`. */
import type { InferenceSession, Tensor } from "onnxruntime-common";

import type { Card } from "./card.js";
import { interpolate, readCard } from "./card.js";
import { ImageError, ModelError } from "./errors.js";
import type { Distortion } from "./explanation.js";
import { explain } from "./explanation.js";
import type { Limits, Rgba } from "./pixels.js";
import { LIMITS, checkSize, overGrey } from "./pixels.js";
import { crops, places } from "./preprocessing.js";
import { QualityMap } from "./quality-map.js";

/** What a photograph may be: a file's bytes, or pixels that are upright and sRGB. */
export type Source = Uint8Array | Rgba;

export interface Options {
  /** Name what is wrong, too: a second graph runs. */
  readonly explain?: boolean;
  /** What a photograph may ask for. */
  readonly limits?: Partial<Limits>;
}

/** The quality of one photograph. */
export interface Score {
  /** 0–100, higher is better. */
  readonly score: number;
  /** 0–10, the mean over crops. */
  readonly raw: number;
  /** Standard deviation of `raw` over the crops. */
  readonly spread: number;
  /** Of the upright photograph, in pixels. */
  readonly width: number;
  readonly height: number;
  /** "alpha_over_grey", "not_a_photograph", "upscaled". */
  readonly warnings: readonly string[];
  /** Such as "dgqa-lite0@1f3a9c0e". */
  readonly model: string;
  /** Where the score comes from. */
  readonly map: QualityMap;
  /** What is wrong, the most harmful first; only with `explain`. */
  readonly distortions?: readonly Distortion[];
}

/** What the browser and Node do each in their own way. */
export interface Platform<Extra> {
  /** A file of the model. */
  read(name: string): Promise<Uint8Array>;
  open(graph: Uint8Array): Promise<InferenceSession>;
  tensor(data: Uint8Array, dims: readonly number[]): Tensor;
  /** An upright sRGB picture of a file's bytes, or of what else the platform has. */
  decode(source: Exclude<Extra, Rgba> | Uint8Array, limits: Limits): Promise<Rgba>;
}

/** Scores photographs with one model. */
export class Scorer<Extra> {
  private constructor(
    private readonly platform: Platform<Extra>,
    private readonly card: Card,
    private readonly quality: InferenceSession,
    private readonly domains: InferenceSession | undefined,
    private readonly limits: Limits,
  ) {}

  /** @throws ModelError where the model is missing, damaged, or cannot explain. */
  static async load<Extra>(platform: Platform<Extra>, options: Options): Promise<Scorer<Extra>> {
    const card = readCard(new TextDecoder().decode(await platform.read("card.json")));
    if (options.explain && card.domains === undefined) {
      throw new ModelError(`${card.name} has no domain classifier (domains.onnx): it cannot explain`);
    }
    const graph = async (name: string) => platform.open(await verified(platform, card, name));
    const quality = await graph("model.onnx");
    const domains = options.explain ? await graph("domains.onnx") : undefined;
    return new Scorer(platform, card, quality, domains, { ...LIMITS, ...options.limits });
  }

  /** The model as rows name it, such as "dgqa-lite0@1f3a9c0e". */
  get model(): string {
    return `${this.card.name}@${this.card.files["model.onnx"].sha256.slice(0, 8)}`;
  }

  /** The score, 0–100, of a raw quality, such as a place of a map: that of a photograph that is like it all over. */
  scoreOf(raw: number): number {
    return interpolate(this.card.calibration, raw);
  }

  /** @throws ImageError where the photograph cannot be scored; `code` says why. */
  async score(source: Source | Extra): Promise<Score> {
    const image = await this.decoded(source);
    checkSize(image.width, image.height, this.limits);
    const { pixels, transparent } = overGrey(image);
    const how = this.card.preprocessing;
    const cut = crops(pixels, how);
    const input = this.platform.tensor(cut.data, [how.grid, how.crop, how.crop, 3]);
    const found = await this.quality.run({ crops: input }, ["quality", "quality_map"]);
    const quality = Array.from(found["quality"].data as Float32Array);
    const raw = mean(quality);
    if (!Number.isFinite(raw)) throw new ImageError("not_finite", `the model gave ${raw} for it`);
    const score = this.scoreOf(raw);
    const distortions = await this.explained(cut.data, score);
    return {
      score,
      raw,
      spread: Math.sqrt(mean(quality.map((each) => (each - raw) ** 2))),
      width: image.width,
      height: image.height,
      warnings: [...(transparent ? ["alpha_over_grey"] : []), ...cut.warnings],
      model: this.model,
      map: new QualityMap(
        rows(found["quality_map"].data as Float32Array, how.grid),
        places(image.width, image.height, how),
      ),
      ...(distortions && { distortions }),
    };
  }

  /** Free the model's memory. */
  async close(): Promise<void> {
    await Promise.all([this.quality.release(), this.domains?.release()]);
  }

  private async decoded(source: Source | Extra): Promise<Rgba> {
    if (isPixels(source)) return source;
    if (source instanceof Uint8Array) {
      if (source.length === 0) throw new ImageError("empty", "there are no bytes");
      if (source.length > this.limits.fileBytes) {
        throw new ImageError("too_large", `${source.length} bytes; the limit is ${this.limits.fileBytes}`);
      }
    }
    return this.platform.decode(source as Exclude<Extra, Rgba> | Uint8Array, this.limits);
  }

  private async explained(cut: Uint8Array, score: number): Promise<Distortion[] | undefined> {
    if (this.domains === undefined || this.card.domains === undefined) return undefined;
    const { classes, crops, scoreWeight } = this.card.domains;
    const side = this.card.preprocessing.crop;
    const length = side * side * 3;
    const chosen = new Uint8Array(crops.length * length);
    crops.forEach((from, to) => chosen.set(cut.subarray(from * length, (from + 1) * length), to * length));
    const input = this.platform.tensor(chosen, [crops.length, side, side, 3]);
    const { domain_logits: found } = await this.domains.run({ crops: input }, ["domain_logits"]);
    const each = rows(found.data as Float32Array, crops.length);
    const logits = classes.map((_, index) => mean(each.map((crop) => crop[index])));
    if (!logits.every(Number.isFinite)) throw new ImageError("not_finite", "the classifier gave no finite numbers");
    // A low score is evidence too: the lower it is, the less likely "pristine" is.
    logits[0] += scoreWeight * Math.min(0, Math.log((score + 1) / (101 - score)));
    return explain(logits, this.card.domains);
  }
}

/** Bytes of sRGB; an `ImageData` of other colours or depth is the platform's to convert. */
function isPixels(source: unknown): source is Rgba {
  const { data, colorSpace = "srgb" } = source as Partial<Rgba> & { readonly colorSpace?: string };
  return (data instanceof Uint8ClampedArray || data instanceof Uint8Array) && colorSpace === "srgb";
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, each) => sum + each, 0) / values.length;
}

function rows(values: Float32Array, count: number): Float32Array[] {
  const length = values.length / count;
  return Array.from({ length: count }, (_, i) => values.slice(i * length, (i + 1) * length));
}

async function verified<Extra>(platform: Platform<Extra>, card: Card, name: string): Promise<Uint8Array> {
  const bytes = await platform.read(name);
  // Pages that are served without encryption from another machine have no `subtle`.
  const subtle = globalThis.crypto?.subtle as SubtleCrypto | undefined;
  if (subtle === undefined) return bytes;
  const digest = new Uint8Array(await subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
  const found = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (found !== card.files[name]?.sha256) throw new ModelError(`${name} is not the file that card.json describes`);
  return bytes;
}
