"""The ways of judging photographs that `peers.py` compares, each in a process of its own.

    python -m benchmarks peer_ways WAY OPTIONS_AS_JSON

The process loads what the way needs and says so, or says why it cannot. Then each line on stdin is a task, a
JSON object: `paths`, to be judged in turn and from the beginning again until `seconds` have gone by, or each
once where `seconds` is null. The answer is a line: how many, in which time, and what each was given. Whether
more of that is better is said at the start: +1 for quality, -1 for damage.
"""

from __future__ import annotations

import importlib.metadata
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from dgqa_infer.options import Precision

AHEAD = 40
"""So many photographs are handed out beyond those that are judged: two batches and what is decoded."""

Judge = Callable[[Iterable[str]], Iterator[float]]
"""Paths → what each photograph is given, in order."""


def ours(options: dict[str, Any], precision: Precision = "auto") -> Judge:
    """dgqa-infer as its command line runs it: workers, batches, the runtime that `--device auto` takes."""
    from dgqa_infer import Score, Scorer
    from dgqa_infer.pipeline.pipeline import Pipeline

    pipeline = Pipeline(Scorer(options["model"], precision=precision))

    def judge(paths: Iterable[str]) -> Iterator[float]:
        for outcome in pipeline.run(paths):
            yield outcome.result.raw if isinstance(outcome.result, Score) else float("nan")

    return judge


def plain(options: dict[str, Any]) -> Judge:
    """What one would write first: Pillow, the same crops, the same network in eager PyTorch, one by one."""
    from dgqa_infer import Bundle
    from dgqa_infer.bundle.preprocessing import FULL
    from dgqa_infer.images.crops import crops

    network = eager(options, Bundle.load(options["model"]).card.training)
    return lambda paths: (network(crops(pillow(path), FULL)[0]) for path in paths)


def decoding_alone(_: dict[str, Any]) -> Judge:
    """Pillow's decoding and shrinking in one process, without a network; what is given means nothing."""
    from dgqa_infer.bundle.preprocessing import FULL
    from dgqa_infer.images.crops import shrink

    return lambda paths: (float(shrink(pillow(path), FULL)[0, 0, 0]) for path in paths)


def resnet50(_: dict[str, Any]) -> Judge:
    """The authors' scripts: five random crops of the photograph as it is, ResNet-50 in eager PyTorch.

    With random weights, which take the same time: ImageNet's cannot be had from a package index.
    """
    import torch

    from dgqa_training.evaluation.protocols import random_crops
    from dgqa_training.networks.heads import Head, QualityNetwork, build_backbone

    network = QualityNetwork(build_backbone("resnet50"), Head(("layer4",))).eval()
    generator = np.random.default_rng(0)

    def one(path: str) -> float:
        with torch.inference_mode():
            return float(network(torch.from_numpy(random_crops(pillow(path), generator)))["quality"].mean())

    return lambda paths: map(one, paths)


def brisque(_: dict[str, Any]) -> Judge:
    """BRISQUE of the package `brisque`, which uses OpenCV and brings a model trained on LIVE.

    It takes arrays of one number for numbers, which NumPy no longer allows.
    """
    from brisque import BRISQUE

    known = BRISQUE(url=False)
    scale = known.scale_features
    known.scale_features = lambda features: scale([np.asarray(feature).item() for feature in features])
    return lambda paths: (float(known.score(pillow(path))) for path in paths)


def opencv_brisque(_: dict[str, Any]) -> Judge:
    """OpenCV's own BRISQUE, if its model files are here."""
    import cv2

    folder = Path(cv2.__file__).parent
    model, scale = (next(folder.rglob(f"brisque_{kind}_live.yml"), None) for kind in ("model", "range"))
    if model is None or scale is None:
        raise RuntimeError("the package has cv2.quality but not its files brisque_model_live.yml and …range…")
    known = cv2.quality.QualityBRISQUE_create(str(model), str(scale))
    return lambda paths: (float(known.compute(pillow(path)[..., ::-1])[0]) for path in paths)


def niqe(_: dict[str, Any]) -> Judge:
    """NIQE of scikit-video, on luma; NumPy's and SciPy's names that it misses are put back."""
    import scipy.misc

    def imresize(image: Any, share: float, interp: str, mode: str) -> Any:
        assert (interp, mode) == ("bicubic", "F")
        size = (int(image.shape[1] * share), int(image.shape[0] * share))
        return np.asarray(Image.fromarray(image.astype(np.float32)).resize(size, Image.Resampling.BICUBIC))

    for name, kind in (("int", int), ("float", float), ("bool", bool)):
        if name not in vars(np):
            setattr(np, name, kind)
    scipy.misc.imresize = imresize
    from skvideo.measure import niqe as measure

    def one(path: str) -> float:
        return float(measure(np.asarray(Image.fromarray(pillow(path)).convert("L"))[None, :, :, None])[0])

    return lambda paths: map(one, paths)


_PACKAGES = ("onnxruntime", "simplejpeg", "cykooz.resizer")
WAYS: dict[str, tuple[Callable[[dict[str, Any]], Judge], int, tuple[str, ...]]] = {
    "dgqa-infer": (ours, 1, _PACKAGES),
    "dgqa-infer, fp32": (lambda options: ours(options, "fp32"), 1, _PACKAGES),
    "Pillow's decoding and shrinking alone": (decoding_alone, 1, ("pillow",)),
    "the same network, plain": (plain, 1, ("torch",)),
    "ResNet-50, 5 crops": (resnet50, 1, ("torch",)),
    "BRISQUE": (brisque, -1, ("brisque", "opencv-python-headless")),
    "OpenCV's BRISQUE": (opencv_brisque, -1, ("opencv-contrib-python-headless",)),
    "NIQE": (niqe, -1, ("scikit-video",)),
}
"""Name → what makes its judge, whether more is better, and the packages whose versions matter."""


def eager(options: dict[str, Any], training: Mapping[str, Any]) -> Callable[[Any], float]:
    """The bundle's network in PyTorch: with the weights of a checkpoint, else with random ones, as fast."""
    import torch

    from dgqa_training.networks import checkpoints
    from dgqa_training.networks.heads import Head, QualityNetwork, build_backbone

    if options.get("checkpoint"):
        network = checkpoints.load(Path(options["checkpoint"])).network().eval()
    else:
        plan = training["plan"]
        network = QualityNetwork(build_backbone(plan["backbone"]), Head(tuple(plan["stages"]))).eval()

    def quality(cut: Any) -> float:
        with torch.inference_mode():
            return float(network(torch.from_numpy(cut))["quality"].mean())

    return quality


def pillow(path: str) -> Any:
    """A photograph decoded in full by Pillow, upright, uint8 [height, width, 3]."""
    with Image.open(path) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def work(judge: Judge, task: dict[str, Any]) -> dict[str, Any]:
    """Do one task."""
    paths, seconds = task["paths"], task["seconds"]
    given: list[float] = []
    began = time.perf_counter()

    def while_time_lasts() -> Iterator[str]:
        for number, path in enumerate(itertools.cycle(paths)):
            # Our pipeline reads hundreds of names ahead; what was begun is finished, so that would be long.
            while number - len(given) >= AHEAD:
                time.sleep(0.001)
            if number and time.perf_counter() - began > seconds:
                return
            yield path

    for value in judge(paths if seconds is None else while_time_lasts()):
        given.append(value)
    return {"done": len(given), "seconds": time.perf_counter() - began, "given": given}


def answer() -> None:
    name, options = sys.argv[1], json.loads(sys.argv[2])
    make, better, packages = WAYS[name]
    # What packages print must not mix with the answers.
    answers, sys.stdout = sys.stdout, sys.stderr

    def answer(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    try:
        versions = {package: importlib.metadata.version(package) for package in packages}
        judge = make(options)
        (first,) = judge([options["trial"]])
    except Exception as error:
        answer({"reason": f"{type(error).__name__}: {error}"})
        return
    answer({"packages": versions, "better": better, "trial": first})
    for line in sys.stdin:
        answer(work(judge, json.loads(line)))


if __name__ == "__main__":
    answer()
