// Put the built-in model of the Python package beside this one's code.
import { cpSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
cpSync(here("../../dgqa_infer/models/dgqa-lite0"), here("../model"), { recursive: true });
