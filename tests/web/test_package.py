"""What is in web/ can be installed from anywhere, packs what it needs, and has types for each platform."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from programs import run


def test_the_lock_file_names_no_registry_and_pins_every_package(repository: Path) -> None:
    lock = json.loads((repository / "web" / "package-lock.json").read_text())
    packages = {name: each for name, each in lock["packages"].items() if name}
    assert len(packages) > 20
    assert [name for name, each in packages.items() if "resolved" in each or "integrity" not in each] == []


def test_the_archive_has_the_code_its_types_the_model_and_the_licence(
    archive: Path, repository: Path, tmp_path: Path
) -> None:
    sources = {path.stem for path in (repository / "web" / "src").glob("*.ts")}
    code = {f"dist/{name}{end}" for name in sources for end in (".js", ".d.ts")}
    model = {f"model/{name}" for name in ("card.json", "model.onnx", "domains.onnx")}
    with tarfile.open(archive) as packed:
        names = {name.removeprefix("package/") for name in packed.getnames()}
        packed.extractall(tmp_path, filter="data")
    described = json.loads((tmp_path / "package" / "package.json").read_text())
    graph = (tmp_path / "package" / "model" / "model.onnx").read_bytes()
    assert names == code | model | {"package.json", "README.md", "LICENSE"}
    assert graph == (repository / "dgqa_infer" / "models" / "dgqa-lite0" / "model.onnx").read_bytes()
    assert described["license"] == "Apache-2.0"
    assert set(described["peerDependencies"]) == {"onnxruntime-node", "onnxruntime-web", "sharp"}
    assert "dependencies" not in described
    exported = described["exports"]["."]
    assert {path.removeprefix("./") for each in exported.values() for path in each.values()} <= names


def test_a_program_imports_it_by_its_name(install: Callable[..., Path]) -> None:
    """Node gets Node's part, and the built-in model lies beside the code."""
    here = install("onnxruntime-node", "onnxruntime-common")
    program = """
    import { load, ImageError } from "dgqa-infer-web";
    const scorer = await load();
    const grey = { width: 300, height: 240, data: new Uint8Array(288000).fill(200) };
    const { score, model } = await scorer.score(grey);
    const missing = await scorer.score(new Uint8Array([1])).catch((error) => error);
    console.log(JSON.stringify([typeof score, model, missing instanceof ImageError, missing.message]));
    await scorer.close();
    """
    (here / "program.mjs").write_text(program)
    kind, model, ours, message = json.loads(run(["node", "program.mjs"], here).stdout)
    assert (kind, model.split("@")[0], ours) == ("number", "dgqa-lite0", True)
    assert "npm install sharp" in message  # which is not there in this folder


NODE = """
import { load } from "dgqa-infer-web";
const scorer = await load();
const { score, map } = await scorer.score(new Uint8Array());
const numbers: [number, Float32Array] = [score, map.over(3, 2)];
// @ts-expect-error: Node has no ImageBitmap.
await scorer.score(null as unknown as ImageBitmap);
console.log(numbers);
"""
BROWSER = """
import { load } from "dgqa-infer-web";
const scorer = await load("model", { explain: true });
const picture = await createImageBitmap(new Blob());
const found = await scorer.score(picture);
await scorer.score(new ImageData(2, 2));
await scorer.score(new Uint8Array());
// @ts-expect-error: a page must say where the model is.
await load();
console.log(found.distortions?.map(({ name }) => name));
"""


@pytest.mark.parametrize(
    ("module", "resolution", "program"), [("NodeNext", "NodeNext", NODE), ("ESNext", "Bundler", BROWSER)]
)
def test_its_types_are_those_of_the_platform(
    install: Callable[..., Path], module: str, resolution: str, program: str
) -> None:
    here = install("onnxruntime-node", "onnxruntime-web", "onnxruntime-common", "typescript", "@types/node")
    (here / "program.ts").write_text(program)
    command = ["node", "node_modules/typescript/bin/tsc", "--strict", "--noEmit", "--target", "ES2022"]
    run([*command, "--module", module, "--moduleResolution", resolution, "program.ts"], here)
