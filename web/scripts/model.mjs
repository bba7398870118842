// Put what the package has of the repository's other parts beside its code: the built-in model and the licence.
import { cpSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
// Not the graph in int8, which the package does not read.
rmSync(here("../model"), { recursive: true, force: true });
for (const name of ["card.json", "model.onnx", "domains.onnx"]) {
  cpSync(here(`../../dgqa_infer/models/dgqa-lite0/${name}`), here(`../model/${name}`));
}
cpSync(here("../../LICENSE"), here("../LICENSE"));
