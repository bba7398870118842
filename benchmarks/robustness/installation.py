"""Build the wheel and the source distribution, and install every extra as a stranger would.

    python -m benchmarks installation [--extras cpu --extras cpu,train] [--keep DIR]

Built of the last commit, in a copy. Each set of extras goes into a new virtual environment, with the
versions of constraints.txt; there, outside of the checkout, the program says its version, imports what the
extra brings, and scores the photographs of the examples with the built-in model. Sizes and seconds go to
`results/installation.json`. Seconds depend on the network, on pip's cache, and on what else
is running: the load beside them is the whole machine's.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser

ROOT = Path(__file__).resolve().parents[2]
EXTRAS = {
    "cpu": "import onnxruntime",
    "openvino": "import openvino",
    "cpu,heif": "import pillow_heif",
    "cpu,raw": "import rawpy",
    "cpu,parquet": "import dgqa_infer.outputs.parquet, pyarrow.parquet",
    "cpu,ray": "import dgqa_infer.ray, ray.data",
    "cpu,remote": "import dgqa_infer.inputs.remote, fsspec, aiohttp, s3fs, gcsfs",
    "cpu,train": (
        "import dgqa_training.regressor.training, dgqa_training.classifier.training, dgqa_training.synthesis"
    ),
    "export": "import dgqa_export.exporter, dgqa_export.adaptation.adaptation",
}
"""Extras that are installed together → what can be imported then. Scoring needs a runtime beside others."""
NOT_TRIED = {
    "gpu": "CUDA's libraries are several gigabytes, and there is no GPU to run them on",
    "gpu-decode": "it brings the extra gpu, and there is no GPU that could decode",
    "tensorrt": "its libraries come from NVIDIA's own index, and there is no GPU to run them on",
    "dev": "the continuous integration installs it in a new environment",
}


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("--extras", action="append", choices=EXTRAS, help="only these; may be repeated")
    parser.add_argument("--keep", type=Path, help="work here, and leave everything")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = (chosen.keep or Path(temporary)).resolve()
        result = measure(work, chosen.extras or list(EXTRAS))
    print(json.dumps(result, indent=1))


def measure(work: Path, extras: list[str]) -> dict[str, Any]:
    """Build, install and score, in a folder outside of the checkout; what is known is kept at every step."""
    work.mkdir(exist_ok=True)
    wheel, sdist = build(work)
    photos = shutil.copytree(ROOT / "examples" / "photos", work / "photos", dirs_exist_ok=True)
    result: dict[str, Any] = {
        "commit": run("git", "rev-parse", "--short", "HEAD", folder=ROOT).strip(),
        "built": {"wheel_bytes": wheel.stat().st_size, "sdist_bytes": sdist.stat().st_size},
        "installed": {},
        "machine": machine(),
        "pip": version("pip"),
    }
    for package, each in [*((wheel, each) for each in extras), (sdist, "cpu")]:
        kind = "wheel" if package is wheel else "sdist"
        result["installed"][f"{kind}[{each}]"] = install(work, package, each, photos)
        missing = declared() - {name for key in result["installed"] for name in key[6:-1].split(",")}
        result["not_tried"] = {name: NOT_TRIED.get(name, "not asked for") for name in sorted(missing)}
        write_result("installation", result)
    return result


def build(work: Path) -> tuple[Path, Path]:
    """The wheel and the source distribution of the last commit, by PyPA's build."""
    source, out, packed = work / "source", work / "dist", work / "source.tar"
    run("git", "archive", "--output", packed, "HEAD", folder=ROOT)
    shutil.unpack_archive(packed, source, filter="data")
    python = environment(work / "builder")
    run(python, "-m", "pip", "install", "--quiet", "build")
    run(python, "-m", "build", "--outdir", out, source)
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, sdist


def install(work: Path, package: Path, extras: str, photos: Path) -> dict[str, Any]:
    """Install some extras in a new environment, and use what is there."""
    folder = work / f"{extras.replace(',', '-')}{''.join(package.suffixes[-1:])}"
    python = environment(folder)
    before = size(folder)
    start = time.perf_counter()
    constraints = ROOT / "constraints.txt"
    run(python, "-m", "pip", "install", "--quiet", "-c", constraints, f"{package}[{extras}]")
    seconds, load = time.perf_counter() - start, os.getloadavg()[0]
    program = python.with_name("dgqa-infer")
    said = run(program, "--version", folder=work).strip()
    run(python, "-c", EXTRAS[extras], folder=work)
    rows = [json.loads(line) for line in run(program, "score", photos, "--quiet", folder=work).splitlines()]
    scored = sum("score" in row for row in rows)
    if scored != len(list(photos.iterdir())):
        raise SystemExit(f"{extras}: {scored} of {len(rows)} photographs were scored")
    packages = json.loads(run(python, "-m", "pip", "list", "--format", "json"))
    found = {
        "version": said,
        "seconds": round(seconds, 1),
        "load": round(load, 1),
        "megabytes": round((size(folder) - before) / 1e6, 1),
        "packages": len(packages) - 2,  # pip and setuptools were there
        "photographs_scored": scored,
        "model": rows[0]["model"],
    }
    print(f"{package.name}[{extras}]: {found}", file=sys.stderr)
    return found


def environment(folder: Path) -> Path:
    """A new virtual environment; its Python."""
    run(sys.executable, "-m", "venv", "--clear", folder)
    return folder / "bin" / "python"


def declared() -> set[str]:
    """The extras that there are."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return set(project["optional-dependencies"])


def size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def run(*command: object, folder: Path | None = None) -> str:
    """Run a program to its end, and give what it wrote; a failure ends this one with its words."""
    done = subprocess.run([str(word) for word in command], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
