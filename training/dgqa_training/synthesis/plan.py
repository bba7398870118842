"""What a synthetic set consists of, decided before its first image is made."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, TypeAlias

from PIL import features

from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.errors import ImageError, UsageError
from dgqa_infer.images.crops import shrink
from dgqa_infer.images.decode import decode
from dgqa_infer.inputs.finder import photographs_in
from dgqa_training.distortions import DISTORTIONS, LEVELS, ByteImage
from dgqa_training.labels.labels import LABELLINGS, Labelling
from dgqa_training.synthesis._processes import Run
from dgqa_training.synthesis.image import chosen_type

PerImage: TypeAlias = Literal["all", "one"]


@dataclass(frozen=True)
class Settings:
    """How a set is made.

    Attributes:
        types: numbers of the distortion types, 1–25, ascending.
        levels: 1–5, ascending.
        per_image: "all" types for each photograph, in KADID-10k's layout; or "one", drawn for each, at all
            five levels, in KADIS-700k's.
        seed: any whole number.
        labels: how images are scored, in KADID's layout; KADIS's has no scores.
        short_side: photographs are first shrunk to it, in pixels, never enlarged; None leaves them alone.
    """

    types: tuple[int, ...] = tuple(DISTORTIONS)
    levels: tuple[int, ...] = LEVELS
    per_image: PerImage = "all"
    seed: int = 0
    labels: Labelling = "kadid-mean"
    short_side: int | None = None

    def __post_init__(self) -> None:
        for name, given, allowed in (
            ("types", self.types, tuple(DISTORTIONS)),
            ("levels", self.levels, LEVELS),
        ):
            if not given or list(given) != sorted(set(given)) or not set(given) <= set(allowed):
                raise UsageError(
                    f"{name} {given} are not some of {allowed[0]} to {allowed[-1]}, each once, ascending"
                )
        if self.labels not in LABELLINGS:
            raise UsageError(f"there is no labelling {self.labels!r}: it is one of {', '.join(LABELLINGS)}")
        if self.per_image == "one" and self.levels != LEVELS:
            raise UsageError("KADIS-700k's layout (one type a photograph) has all five levels, always")
        if self.short_side is not None and self.short_side < 1:
            raise UsageError(f"a short side of {self.short_side} pixels leaves no image")

    @property
    def smallest_side(self) -> int:
        """The least width and height, in pixels, that all the types can work on."""
        return max(DISTORTIONS[number].smallest_side for number in self.types)


@dataclass(frozen=True)
class Reference:
    """One pristine photograph of a set.

    Attributes:
        name: in the set: I01, I02, … in KADID's layout, the file's own name without extension in KADIS's.
        path: the file.
        sha256: of the file.
        width: in pixels, after shrinking.
        height: in pixels, after shrinking.
        types: what is done to it.
    """

    name: str
    path: Path
    sha256: str
    width: int
    height: int
    types: tuple[int, ...]

    def pixels(self, short_side: int | None) -> ByteImage:
        """The photograph, upright and in sRGB, uint8 [h, w, 3]."""
        return _cached_pixels(self.path, self.sha256, short_side)


@dataclass(frozen=True)
class SynthesisPlan:
    """What a set consists of.

    Attributes:
        settings: how it is made.
        references: the photographs, in the order of their file names.
        skipped: names of files that cannot be part of it → why.
    """

    settings: Settings
    references: tuple[Reference, ...]
    skipped: dict[str, str] = field(default_factory=dict)

    @cached_property
    def image_count(self) -> int:
        """How many distorted images the set has."""
        return sum(len(reference.types) for reference in self.references) * len(self.settings.levels)

    def manifest(self) -> dict[str, Any]:
        """Everything that decides the set's pixels and labels, for JSON."""
        used = sorted({number for reference in self.references for number in reference.types})
        return {
            "layout": "KADID-10k" if self.settings.per_image == "all" else "KADIS-700k",
            "settings": {
                **asdict(self.settings),
                "types": [*self.settings.types],
                "levels": [*self.settings.levels],
            },
            "distortions": [_described(number, self.settings.levels) for number in used],
            "references": [
                {
                    "name": reference.name,
                    "file": reference.path.name,
                    "sha256": reference.sha256,
                    "width": reference.width,
                    "height": reference.height,
                    "types": [*reference.types],
                }
                for reference in self.references
            ],
            "skipped": self.skipped,
            "versions": _versions(),
        }


def plan_set(
    folder: Path, settings: Settings, run: Run, advance: Callable[[int], None] = lambda _: None
) -> SynthesisPlan:
    """Look at every photograph of a folder and decide what its set consists of.

    Args:
        folder: of pristine photographs; folders within it are not looked into.
        settings: how the set is made.
        run: does work for many items, perhaps in other processes.
        advance: told how many photographs more have been looked at.

    Returns:
        The plan. A file that is no readable photograph, or is too small for one of the types, is skipped.

    Raises:
        UsageError: the folder cannot be read, has no usable photograph, or, in KADIS's layout, two that
            differ in their extension alone.
    """
    paths = photographs_in(folder)
    seen: dict[Path, tuple[str, int, int] | str] = {}
    for path, facts in run(partial(_examine, settings=settings), paths):
        seen[path] = facts
        advance(1)
    skipped = {path.name: facts for path in paths if isinstance(facts := seen[path], str)}
    usable = [(path, facts) for path in paths if not isinstance(facts := seen[path], str)]
    if not usable:
        reason = f"; the first, {next(iter(skipped))}: {next(iter(skipped.values()))}" if skipped else ""
        raise UsageError(f"{folder} has no photograph to make a set from{reason}")
    names = _names([path for path, _ in usable], settings)
    references = tuple(
        Reference(name, path, *facts, types=_types(path, settings))
        for name, (path, facts) in zip(names, usable, strict=True)
    )
    return SynthesisPlan(settings, references, skipped)


def _examine(path: Path, settings: Settings) -> tuple[Path, tuple[str, int, int] | str]:
    """Digest, width and height of a photograph, or why it cannot be used."""
    try:
        height, width = _pixels(path, settings.short_side).shape[:2]
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except ImageError as error:
        return path, error.message
    except OSError as error:
        return path, error.strerror or str(error)
    if min(width, height) < settings.smallest_side:
        return (
            path,
            f"{width}×{height} pixels are too small: the types need {settings.smallest_side} on a side",
        )
    return path, (digest, width, height)


@lru_cache(maxsize=2)  # one photograph is asked for 25 times in a row
def _cached_pixels(path: Path, sha256: str, short_side: int | None) -> ByteImage:  # noqa: ARG001 (part of the key)
    return _pixels(path, short_side)


def _pixels(path: Path, short_side: int | None) -> ByteImage:
    pixels = decode(path).pixels
    if short_side is not None:
        pixels = shrink(pixels, Preprocessing("synthesis", short_side, crop=1, grid=1))
    return pixels


def _names(paths: list[Path], settings: Settings) -> list[str]:
    if settings.per_image == "all":
        digits = max(2, len(str(len(paths))))
        return [f"I{number:0{digits}}" for number in range(1, len(paths) + 1)]
    names = Counter(path.stem for path in paths)
    name, count = names.most_common(1)[0]
    if count > 1:
        raise UsageError(f"KADIS-700k's layout names images by their stem: {name!r} is there {count} times")
    return list(names)


def _types(path: Path, settings: Settings) -> tuple[int, ...]:
    if settings.per_image == "all":
        return settings.types
    return (chosen_type(settings.seed, os.fspath(path.name), settings.types),)


def _described(number: int, levels: tuple[int, ...]) -> dict[str, Any]:
    kind = DISTORTIONS[number]
    return {
        "type": number,
        "name": kind.name,
        "parameter": kind.parameter,
        "values": {str(level): kind.value(level) for level in levels},
        "approximate": kind.approximate,
    }


def _versions() -> dict[str, str | None]:
    """Of what decides pixels: other versions may well make others."""
    packages = ("dgqa-infer", "numpy", "scipy", "numba", "scikit-image", "pillow")
    codecs = {"libjpeg": features.version("jpg"), "openjpeg": features.version("jpg_2000")}
    return {**{name: version(name) for name in packages}, **codecs}
