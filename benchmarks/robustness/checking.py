"""What share of a sound photograph's processor time goes into looking for what may be wrong with its file?

    python -m benchmarks checking PHOTOS [--model dgqa-lite0] [--repeats 3]

Photographs of PHOTOS are scored as they are, and as PNG and TIFF files of the same pixels, on one thread, so
many times each. The time of the checks is measured within: the format's first bytes, raw files in disguise,
chunks and checksums of PNG, pages and layouts of TIFF, the header and the profile of JPEG. What of it reads
the header anyway (Pillow's opening) counts as well, so the share is an upper bound. The least of the repeats
counts. The figures go to `results/checking.json`; the exit code is 1 if checks take more than 2 % of any
format's time.
"""

from __future__ import annotations

import io
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from PIL import Image

from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser
from dgqa_infer import Scorer
from dgqa_infer.images import decode as decoding
from dgqa_infer.images.decoders import colour, jpeg, png, raw, tiff

ALLOWED = 0.02
CHECKS: tuple[tuple[Any, str], ...] = (
    (decoding, "sniff"),
    (raw, "is_raw"),
    (png, "read"),
    (tiff, "open_photograph"),
    (jpeg, "open_file"),
    (colour, "profile_changes_srgb"),
    (decoding, "_check_size"),
)


def main() -> int:
    parser = new_parser(__doc__, model=True)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    paths = sorted(path for path in arguments.photos.iterdir() if path.is_file())
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    with Scorer(arguments.model, device="cpu", threads=1) as scorer:
        scorer.score(paths[0])
        for path in paths:
            for kind, data in files(path).items():
                runs = [measured(scorer, data) for _ in range(arguments.repeats)]
                found[kind].append(min(runs, key=lambda run: run["all"]))
    formats = {kind: summary(each) for kind, each in found.items()}
    result = {
        "model": arguments.model,
        "photographs": len(paths),
        "formats": formats,
        "allowed": ALLOWED,
        "met": all(each["share"] <= ALLOWED for each in formats.values()),
        "machine": machine("onnxruntime", "simplejpeg", "tifffile"),
    }
    write_result("checking", result)
    print(json.dumps(result, indent=1))
    return int(not result["met"])


def files(path: Path) -> dict[str, bytes]:
    """Format → the photograph in it."""
    with Image.open(path) as image:
        pixels = image.convert("RGB")
    found = {"as it is": path.read_bytes()}
    for kind, options in (("PNG", {"compress_level": 1}), ("TIFF", {"compression": "tiff_lzw"})):
        file = io.BytesIO()
        pixels.save(file, kind, **options)
        found[kind] = file.getvalue()
    return found


def measured(scorer: Scorer, data: bytes) -> dict[str, float]:
    """Seconds of this process's processor time: of all, and of each check."""
    spent: dict[str, float] = defaultdict(float)
    with timed(spent):
        began = time.process_time()
        scorer.score(data)
        spent["all"] = time.process_time() - began
    return dict(spent)


@contextmanager
def timed(spent: dict[str, float]) -> Iterator[None]:
    patches = [patch.object(owner, name, watched(owner, name, spent)) for owner, name in CHECKS]
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in patches:
            each.stop()


def watched(owner: Any, name: str, spent: dict[str, float]) -> Callable[..., Any]:
    function = getattr(owner, name)

    def watching(*arguments: Any, **options: Any) -> Any:
        began = time.process_time()
        try:
            return function(*arguments, **options)
        finally:
            spent[name] += time.process_time() - began

    return watching


def summary(runs: list[dict[str, float]]) -> dict[str, Any]:
    """Milliseconds a photograph, and the checks' share."""
    total = sum(run["all"] for run in runs)
    names = sorted({name for run in runs for name in run if name != "all"})
    checks = {name: sum(run.get(name, 0.0) for run in runs) for name in names}
    return {
        "milliseconds": round(1000 * total / len(runs), 2),
        "checks_milliseconds": {name: round(1000 * each / len(runs), 3) for name, each in checks.items()},
        "share": round(sum(checks.values()) / total, 4),
    }


if __name__ == "__main__":
    sys.exit(main())
