/** Decodes and scores, one photograph after the other, so that the page stays responsive. */
import { ImageError, load } from "../src/browser.js";
import type { Answer, Ask } from "./messages.js";

const answer = (message: Answer) => postMessage(message);
const loading = load("model", { explain: true });
let queue: Promise<unknown> = loading.then(
  (scorer) => answer({ kind: "ready", model: scorer.model }),
  (error: Error) => answer({ kind: "broken", message: error.message }),
);

async function score({ id, file, side }: Ask): Promise<void> {
  try {
    const scorer = await loading;
    const { score, raw, distortions = [], warnings, map, width, height } = await scorer.score(file);
    const scale = Math.min(1, side / Math.max(width, height));
    const size = { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
    const values = map.over(size.width, size.height).map((raw) => scorer.scoreOf(raw));
    const field = { ...size, values };
    answer({ kind: "scored", id, score, raw, distortions, warnings, map: field });
  } catch (error) {
    const code = error instanceof ImageError ? error.code : "failed";
    answer({ kind: "failed", id, code, message: (error as Error).message });
  }
}

addEventListener("message", ({ data }: MessageEvent<Ask>) => {
  queue = queue.then(() => score(data));
});
