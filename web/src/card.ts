/** A bundle's card: what the package reads of it. */
import { ModelError } from "./errors.js";
import type { Preprocessing } from "./preprocessing.js";

/** Piecewise linear, clipped at its ends. */
export interface Curve {
  readonly x: readonly number[];
  readonly y: readonly number[];
}

/** When a distortion is named, and how bad it is. */
export interface Fault {
  readonly threshold: number;
  readonly severity: Curve;
}

export interface Card {
  readonly name: string;
  readonly files: Readonly<Record<string, { readonly sha256: string }>>;
  readonly preprocessing: Preprocessing;
  readonly calibration: Curve;
  readonly domains?: {
    readonly classes: readonly string[];
    readonly temperature: number;
    /** Which of the grid's crops explanations rest on. */
    readonly crops: readonly number[];
    /** How much a low score counts in an explanation. */
    readonly scoreWeight: number;
    readonly faults: Readonly<Record<string, Fault>>;
  };
}

/* eslint-disable-next-line @typescript-eslint/no-explicit-any */
type Json = any;

/** Read `card.json`. */
export function readCard(text: string): Card {
  try {
    const card: Json = JSON.parse(text);
    if (card.format !== 1) throw new Error(`its format is ${card.format}, not 1`);
    const { preprocessing, domains } = card;
    const known = [1, 5, 9].includes(preprocessing.grid) && ["bilinear", "bicubic", "lanczos"].includes(preprocessing.filter);
    if (!known || ![undefined, "fast_image_resize"].includes(preprocessing.resizer)) {
      throw new Error(`its preprocessing ${preprocessing.id} is not known here`);
    }
    const curve = card.score.calibration;
    return {
      name: card.name,
      files: card.files,
      preprocessing,
      calibration: checked({ x: curve.raw, y: curve.score }),
      ...(domains && {
        domains: {
          classes: domains.classes,
          temperature: domains.temperature,
          scoreWeight: domains.score_weight ?? 0,
          crops: domains.crops ?? Array.from({ length: preprocessing.grid }, (_, place) => place),
          faults: Object.fromEntries(Object.entries(domains.faults ?? {}).map(([name, fault]) => [name, faultOf(fault)])),
        },
      }),
    };
  } catch (error) {
    throw new ModelError(`the model's card.json cannot be used: ${(error as Error).message}`, { cause: error });
  }
}

function faultOf(fault: Json): Fault {
  return { threshold: fault.threshold, severity: checked({ x: fault.evidence, y: fault.severity }) };
}

function checked(curve: Curve): Curve {
  const ascending = curve.x.every((value, i) => Number.isFinite(value) && (i === 0 || value > curve.x[i - 1]));
  if (curve.x.length < 2 || curve.x.length !== curve.y.length || !ascending) throw new Error("a curve has no knots");
  return curve;
}

/** A curve's value. */
export function interpolate({ x, y }: Curve, at: number): number {
  const last = x.length - 1;
  if (at <= x[0]) return y[0];
  if (at >= x[last]) return y[last];
  const next = x.findIndex((knot) => knot > at);
  return y[next - 1] + ((at - x[next - 1]) * (y[next] - y[next - 1])) / (x[next] - x[next - 1]);
}
