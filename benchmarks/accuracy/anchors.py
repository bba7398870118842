"""Show what scores of 20, 40, 60 and 80 look like, and how many real photographs lie below each.

    python -m benchmarks anchors PRISTINE PHOTOS [--model dgqa-lite0] [--contents 24] [--seed 0]

Of PRISTINE some photographs are drawn, and distorted with the types that the model was trained on, at all
levels; for each anchor those three (of different photographs and types) are shown whose scores are nearest.
PHOTOS are real photographs; of them only the share below each anchor is told. The figures go to
`results/anchors.json`, the picture to `docs/pictures/anchors.jpg`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser
from dgqa_infer import Score, Scorer
from dgqa_infer.bundle.preprocessing import STANDARD
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.images.crops import shrink
from dgqa_infer.images.decode import decode
from dgqa_infer.pipeline.pipeline import Pipeline
from dgqa_training.distortions import DISTORTIONS, LEVELS, distort, to_bytes

ANCHORS = (20, 40, 60, 80)
SHOWN = 3
PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "anchors.jpg"
_CELL, _LINE = (320, 240), 22


@dataclass(frozen=True)
class Example:
    """A distorted photograph, and its score."""

    content: str
    type: int
    level: int
    score: float

    @property
    def words(self) -> str:
        """What was done to it."""
        return f"{DISTORTIONS[self.type].name}, level {self.level}" if self.type else "pristine"


def main() -> None:
    parser = new_parser(__doc__, model=True)
    parser.add_argument("pristine", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--contents", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    files = sorted(path for path in arguments.pristine.iterdir() if path.is_file())
    drawn = np.random.default_rng(arguments.seed).permutation(len(files))[: arguments.contents]
    with Scorer(arguments.model, device="cpu", precision="fp32") as scorer:
        types = tuple(scorer.bundle.card.training["plan"]["types"])
        examples = [
            Example(files[place].name, kind, level, scorer.score(image(files[place], kind, level)).score)
            for place in sorted(drawn)
            for kind, level in ((0, 0), *((kind, level) for kind in types for level in LEVELS))
        ]
        with Pipeline(scorer) as pipeline:
            paths = [str(path) for path in sorted(arguments.photos.iterdir())]
            results = [outcome.result for outcome in pipeline.run(paths)]
        model, calibration = scorer.model_id, scorer.bundle.card.calibration.as_card()
    scores = np.array([result.score for result in results if isinstance(result, Score)])
    chosen = {anchor: nearest(examples, anchor) for anchor in ANCHORS}
    result = {
        "machine": machine("onnxruntime"),
        "model": model,
        "calibration": calibration,
        "photographs": len(scores),
        "percentiles": {
            str(share): round(float(np.percentile(scores, share)), 1) for share in (5, 25, 50, 75, 95)
        },
        "anchors": [
            {
                "score": anchor,
                "share_of_photographs_below": round(float((scores < anchor).mean()), 3),
                "looks_like": [
                    {"photo": each.content, "what": each.words, "score": round(each.score, 1)}
                    for each in chosen[anchor]
                ],
            }
            for anchor in ANCHORS
        ],
    }
    write_result("anchors", result)
    picture(chosen, arguments.pristine)
    print(result["anchors"])


def image(file: Path, kind: int, level: int) -> Pixels:
    """A photograph, distorted; always in the same way."""
    pristine = shrink(decode(file).pixels, STANDARD)
    if not kind:
        return pristine
    return to_bytes(distort(pristine, kind, level, np.random.default_rng([kind, level])))


def nearest(examples: list[Example], anchor: int) -> list[Example]:
    """Those whose scores are nearest to an anchor, each of another photograph and another type."""
    chosen: list[Example] = []
    for example in sorted(examples, key=lambda each: abs(each.score - anchor)):
        if all(example.content != each.content and example.type != each.type for each in chosen):
            chosen.append(example)
    return chosen[:SHOWN]


def picture(chosen: dict[int, list[Example]], folder: Path) -> None:
    """A row an anchor: the middle of each photograph at its own size."""
    width, height = _CELL
    sheet = Image.new("RGB", (width * SHOWN, (height + _LINE) * len(chosen)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for row, examples in enumerate(chosen.values()):
        for column, each in enumerate(examples):
            whole = Image.fromarray(image(folder / each.content, each.type, each.level))
            left, top = (whole.width - width) // 2, (whole.height - height) // 2
            place = (column * width, row * (height + _LINE))
            sheet.paste(whole.crop((left, top, left + width, top + height)), (place[0], place[1] + _LINE))
            pen.text((place[0] + 6, place[1] + 3), f"{each.score:.0f}   {each.words}", "black", font)
    sheet.save(PICTURE, quality=88)


if __name__ == "__main__":
    main()
