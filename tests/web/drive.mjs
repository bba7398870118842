// Does jobs with the built package: `node drive.mjs DIST`, one JSON object a line, in and out.
import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";

const dist = process.argv[2];
const from = (name) => import(`${dist}/${name}.js`);
const scorers = new Map();

async function scorer({ model, explain, limits }) {
  const key = JSON.stringify([model, explain, limits]);
  if (!scorers.has(key)) scorers.set(key, await (await from("node")).load(model, { explain, limits }));
  return scorers.get(key);
}

const jobs = {
  async crops({ width, height, file, how, out }) {
    const { crops } = await from("preprocessing");
    const found = crops({ width, height, data: new Uint8Array(readFileSync(file)) }, how);
    writeFileSync(out, found.data);
    return { warnings: found.warnings };
  },
  async score({ file, over, ...options }) {
    const { map, ...found } = await (await scorer(options)).score(readFileSync(file));
    const mean = (values) => values.reduce((sum, each) => sum + each, 0) / values.length;
    const cells = mean(map.cells.map((each) => mean(Array.from(each))));
    return { ...found, cells, ...(over && { over: Array.from(map.over(...over), (each) => (isNaN(each) ? null : each)) }) };
  },
  async pixels({ width, height, file, ...options }) {
    const { map: _, ...found } = await (await scorer(options)).score({ width, height, data: new Uint8Array(readFileSync(file)) });
    return found;
  },
  async words() {
    return (await from("explanation")).WORDS;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { do: name, ...job } = JSON.parse(line);
  try {
    console.log(JSON.stringify(await jobs[name](job)));
  } catch (error) {
    console.log(JSON.stringify({ error: error.name, code: error.code, message: error.message }));
  }
}
