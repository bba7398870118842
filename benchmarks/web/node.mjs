// Scores files with the package in Node: `node node.mjs DIST MODEL < paths`, one JSON object a line.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const [dist, model] = process.argv.slice(2);
const { load } = await import(`${dist}/node.js`);
const scorer = await load(model, { explain: true });
for await (const path of createInterface({ input: process.stdin })) {
  const { map: _, ...found } = await scorer.score(readFileSync(path));
  console.log(JSON.stringify(found));
}
await scorer.close();
