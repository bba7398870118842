/** What is wrong with a photograph, as `dgqa_infer.domains.explanation` names it. */
import type { Card } from "./card.js";
import { interpolate } from "./card.js";

/** One thing that is wrong with a photograph. */
export interface Distortion {
  /** In a photographer's words, such as "motion blur". */
  readonly name: string;
  /** 0–1. */
  readonly probability: number;
  /** 0 (imperceptible) to 4 (very annoying); none where the model does not say. */
  readonly severity?: number;
}

/** Class → what it looks like. */
export const WORDS: Readonly<Record<string, string>> = {
  pristine: "pristine",
  "gaussian-blur": "soft all over",
  "lens-blur": "out of focus",
  "motion-blur": "motion blur",
  "color-diffusion": "colours bleed over edges",
  "color-shift": "colour fringes",
  "color-quantization": "too few colours",
  "color-saturation-1": "washed-out colours",
  "color-saturation-2": "oversaturated colours",
  jpeg2000: "smeared by JPEG 2000 compression",
  jpeg: "blocks from JPEG compression",
  "white-noise": "grain",
  "white-noise-color": "colour noise",
  "impulse-noise": "stray black and white pixels",
  "multiplicative-noise": "noise in the bright parts",
  denoise: "smudged by noise reduction",
  brighten: "too bright",
  darken: "too dark",
  "mean-shift": "clipped highlights or shadows",
  jitter: "frayed edges",
  "non-eccentricity-patch": "small misplaced patches",
  pixelate: "visible pixels",
  quantization: "banding",
  "color-block": "coloured squares",
  "high-sharpen": "oversharpened",
  "contrast-change": "too much or too little contrast",
};

const LEAST_PROBABILITY = 0.1;
const MOST = 3;

/** Up to three, the most harmful first; none where none is clearly there. */
export function explain(logits: readonly number[], domains: NonNullable<Card["domains"]>): Distortion[] {
  const { classes, faults, temperature } = domains;
  const scaled = logits.map((each) => each / temperature);
  const most = Math.max(...scaled);
  const powers = scaled.map((each) => Math.exp(each - most));
  const sum = powers.reduce((total, each) => total + each, 0);
  const shares = powers.map((each) => each / sum);
  const words = (name: string) => WORDS[name.replaceAll("_", "-")] ?? name.replaceAll("_", " ");
  const probable = classes
    .map((name, index) => ({ name, index, probability: shares[index] }))
    .filter(({ index, probability }) => index > 0 && probability >= LEAST_PROBABILITY);
  if (Object.keys(faults).length === 0) {
    // The likeliest is named however unlikely, unless that is "pristine".
    const likeliest = shares.indexOf(Math.max(...shares));
    if (likeliest === 0) return [];
    const found = probable.some(({ index }) => index === likeliest)
      ? probable
      : [{ name: classes[likeliest], index: likeliest, probability: shares[likeliest] }, ...probable];
    found.sort((a, b) => b.probability - a.probability);
    return found.slice(0, MOST).map(({ name, probability }) => ({ name: words(name), probability }));
  }
  const found = probable.flatMap(({ name, index, probability }) => {
    const evidence = scaled[index] - scaled[0];
    const fault = faults[name];
    if (fault === undefined || evidence < fault.threshold) return [];
    return [{ name: words(name), probability, severity: interpolate(fault.severity, evidence) }];
  });
  found.sort((a, b) => b.probability * b.severity - a.probability * a.severity);
  return found.slice(0, MOST);
}
