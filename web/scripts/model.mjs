// Put what the package has of the repository's other parts beside its code: the built-in model and the licence.
import { cpSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
cpSync(here("../../dgqa_infer/models/dgqa-lite0"), here("../model"), { recursive: true });
cpSync(here("../../LICENSE"), here("../LICENSE"));
