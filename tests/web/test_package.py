"""What is in web/ can be installed from anywhere, and packs what it needs."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path


def test_the_lock_file_names_no_registry_and_pins_every_package(repository: Path) -> None:
    lock = json.loads((repository / "web" / "package-lock.json").read_text())
    packages = {name: each for name, each in lock["packages"].items() if name}
    assert len(packages) > 20
    assert [name for name, each in packages.items() if "resolved" in each or "integrity" not in each] == []


def test_a_program_imports_it_by_its_name(web: Path, dist: Path, tmp_path: Path) -> None:
    """As npm would lay it: Node gets Node's part, and the built-in model lies beside the code."""
    here = tmp_path / "node_modules" / "dgqa-infer-web"
    shutil.copytree(dist, here / "dist")
    shutil.copy(web / "package.json", here)
    (here / "model").symlink_to(web.parent / "dgqa_infer" / "models" / "dgqa-lite0")
    for name in ("onnxruntime-node", "onnxruntime-common"):
        (tmp_path / "node_modules" / name).symlink_to(web / "node_modules" / name)
    program = """
    import { load, ImageError } from "dgqa-infer-web";
    const scorer = await load();
    const grey = { width: 300, height: 240, data: new Uint8Array(288000).fill(200) };
    const { score, model } = await scorer.score(grey);
    const missing = await scorer.score(new Uint8Array([1])).catch((error) => error);
    console.log(JSON.stringify([typeof score, model, missing instanceof ImageError, missing.message]));
    await scorer.close();
    """
    (tmp_path / "program.mjs").write_text(program)
    done = subprocess.run(["node", "program.mjs"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    kind, model, ours, message = json.loads(done.stdout)
    assert (kind, model.split("@")[0], ours) == ("number", "dgqa-lite0", True)
    assert "npm install sharp" in message  # which is not there in this folder
