"""Measure whether a photograph scores lower each time it is blurred or compressed harder.

    python -m benchmarks monotonicity FOLDER [--model dgqa-lite0] [--contents 20] [--seed 3]

Of FOLDER, some photographs are drawn; each is blurred by Gaussians of σ = 1, 2 and 5 pixels, and written as
JPEG of quality 40, 20 and 7 by Pillow. A content counts as ordered when all four scores of a ladder fall. The
result goes to `results/monotonicity.json`.
"""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser
from dgqa_infer import Scorer
from dgqa_infer.images.decode import decode

SIGMAS = (1, 2, 5)
QUALITIES = (40, 20, 7)


def main() -> None:
    parser = new_parser(__doc__, model=True)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--contents", type=int, default=20)
    parser.add_argument("--seed", type=int, default=3)
    arguments = parser.parse_args()

    files = sorted(path for path in arguments.folder.iterdir() if path.is_file())
    drawn = np.random.default_rng(arguments.seed).permutation(len(files))[: arguments.contents]
    with Scorer(arguments.model, device="cpu", precision="fp32") as scorer:
        rows = [ladders(scorer, files[index]) for index in sorted(drawn)]
        model = scorer.model_id
    ordered = {name: sum(falls(row[name]) for row in rows) for name in ("blur", "jpeg")}
    result = {
        "machine": machine("scipy", "onnxruntime"),
        "model": model,
        "seed": arguments.seed,
        "contents": len(rows),
        "sigmas": SIGMAS,
        "qualities": QUALITIES,
        "ordered": ordered,
        "rows": rows,
    }
    write_result("monotonicity", result)
    print(f"{model}: ordered by blur {ordered['blur']}, by JPEG {ordered['jpeg']} of {len(rows)} contents")


def ladders(scorer: Scorer, file: Path) -> dict[str, Any]:
    """Raw quality of one photograph, untouched and then ever worse."""
    pixels = decode(file).pixels
    untouched = scorer.score(pixels).raw
    blurred = [scorer.score(blur(pixels, sigma)).raw for sigma in SIGMAS]
    compressed = [scorer.score(compress(pixels, quality)).raw for quality in QUALITIES]
    return {"photo": file.name, "blur": [untouched, *blurred], "jpeg": [untouched, *compressed]}


def blur(pixels: np.ndarray, sigma: float) -> np.ndarray:
    smooth = gaussian_filter(pixels.astype(np.float32), (sigma, sigma, 0))
    return np.asarray(np.clip(smooth + 0.5, 0, 255), np.uint8)


def compress(pixels: np.ndarray, quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def falls(scores: list[float]) -> bool:
    return all(before > after for before, after in itertools.pairwise(scores))


if __name__ == "__main__":
    main()
