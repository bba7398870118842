// Make demo/dist/: the demo as files that any web server serves, with all that they need. `--out FOLDER` for another place.
import { cpSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const out = process.argv[2] === "--out" ? process.argv[3] : here("../demo/dist");
mkdirSync(out, { recursive: true });
await build({
  entryPoints: [here("../demo/page.ts"), here("../demo/worker.ts")],
  outdir: out,
  bundle: true,
  format: "esm",
  minify: true,
  target: "es2022",
  conditions: ["browser", "onnxruntime-web-use-extern-wasm"],
});
for (const name of ["index.html", "page.css"]) cpSync(here(`../demo/${name}`), join(out, name));
const runtime = dirname(createRequire(import.meta.url).resolve("onnxruntime-web"));
for (const end of ["mjs", "wasm"]) {
  const name = `ort-wasm-simd-threaded.${end}`;
  cpSync(join(runtime, name), join(out, name));
}
for (const name of ["card.json", "model.onnx", "domains.onnx"]) {
  cpSync(here(`../../dgqa_infer/models/dgqa-lite0/${name}`), join(out, "model", name));
}
