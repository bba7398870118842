"""Decoding on a device in worker processes: what the CPU has to decode is named, and no row is lost."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jpegs import exif, jpeg, scene
from PIL import Image

from dgqa_infer import BackendError, Failure, Score, Scorer
from dgqa_infer.options import WorkerLimits
from dgqa_infer.pipeline.pipeline import Pipeline
from dgqa_infer.results import Result


@pytest.fixture
def scorer(tiny_bundle: Path) -> Iterator[Scorer]:
    """As `gpu_decode` makes it, but for the device."""
    with Scorer(tiny_bundle, device="cpu", batch_size=2) as scorer:
        scorer.jpeg_device = "cpu"
        scorer.bundle = scorer.bundle.with_gpu_decoding()
        yield scorer


@pytest.fixture
def plain(tiny_bundle: Path) -> Iterator[Scorer]:
    with Scorer(tiny_bundle, device="cpu", batch_size=2) as scorer:
        yield scorer


def run(scorer: Scorer, paths: list[Path], **options: Any) -> list[Result]:
    with Pipeline(scorer, **({"workers": 1} | options)) as pipeline:
        return [outcome.result for outcome in pipeline.run(map(str, paths))]


def written(folder: Path, files: dict[str, bytes]) -> list[Path]:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in files]


def test_workers_give_the_cpu_s_scores_and_name_what_the_cpu_decoded(
    codec: None, scorer: Scorer, plain: Scorer, wide_gamut: bytes, tmp_path: Path
) -> None:
    file = io.BytesIO()
    scene().save(file, "PNG")
    files = {
        "plain.jpg": jpeg(scene()),
        "cmyk.jpg": jpeg(scene("CMYK")),
        "turned.jpg": jpeg(scene(), exif=exif(6)),
        "half.jpg": jpeg(scene())[:4000],
        "profile.jpg": jpeg(scene(), icc_profile=wide_gamut),
        "grey.jpg": jpeg(scene("L")),
        "small.jpg": jpeg(scene(size=(30, 20))),
        "other.png": file.getvalue(),
        "text.jpg": b"no photograph",
        "last.jpg": jpeg(scene()),
    }
    paths = written(tmp_path, files)
    ones, twos = run(plain, paths), run(scorer, paths)
    assert [one.path for one in ones] == [two.path for two in twos] == list(map(str, paths))
    by_cpu = set()
    for one, two in zip(ones, twos, strict=True):
        assert two.model == f"{one.model}+nvjpeg"
        if isinstance(one, Failure):
            assert isinstance(two, Failure)
            assert (two.code, two.message) == (one.code, one.message)
            continue
        assert isinstance(two, Score)
        assert (two.width, two.height) == (one.width, one.height)
        # A level of one crop in a thousand: the tiny model's quality is the mean level / 25.5.
        assert two.raw == pytest.approx(one.raw, abs=0.2 / 25.5)
        if "cpu_decoded" in two.warnings:
            assert two.raw == one.raw
            by_cpu.add(Path(two.path or "").name)
    assert by_cpu == {"cmyk.jpg", "profile.jpg", "small.jpg"}
    assert [type(two) for two in twos].count(Failure) == 2


def test_odd_images_have_the_end_that_they_have_on_the_cpu(
    codec: None, scorer: Scorer, plain: Scorer, shared_data: Path
) -> None:
    """Files that fuzzers made and that decoders stumbled over; the tiny model shrinks, so they go there."""
    paths = sorted(path for path in (shared_data / "odd_images").rglob("*") if path.is_file())[::4]
    ones, twos = run(plain, paths), run(scorer, paths)
    assert [two.path for two in twos] == list(map(str, paths))
    for one, two in zip(ones, twos, strict=True):
        if isinstance(two, Score) and "cpu_decoded" not in two.warnings:
            # Damage within its data may be filled up in another way, and is not told of.
            assert isinstance(one, Score)
            assert one.raw == pytest.approx(two.raw, abs=0.01) or "jpeg_corrupt_data" in one.warnings
        elif isinstance(two, Score):
            assert isinstance(one, Score)
            assert (two.raw, set(two.warnings)) == (one.raw, {"cpu_decoded", *one.warnings})
        else:
            assert isinstance(one, Failure)
            assert (two.code, two.message) == (one.code, one.message)


def test_this_process_and_workers_give_the_same(codec: None, scorer: Scorer, tmp_path: Path) -> None:
    paths = written(tmp_path, {"a.jpg": jpeg(scene()), "b.jpg": jpeg(scene("CMYK"))})
    assert list(scorer.score_many(paths)) == run(scorer, paths)


def test_what_libraries_have_reserved_does_not_count_as_memory_of_files(
    codec: None, scorer: Scorer, tmp_path: Path
) -> None:
    """The process alone has more than this limit; a file may use so much on top of it, and no more."""
    paths = written(tmp_path, {"a.jpg": jpeg(scene()), "b.png": b""})
    Image.new("RGB", (6000, 6000)).save(paths[1])
    small, large = run(scorer, paths, limits=WorkerLimits(memory_bytes=100_000_000))
    assert isinstance(small, Score)
    assert small.warnings == ()
    assert isinstance(large, Failure)
    assert large.code == "too_large"


def test_crops_at_random_places_are_of_the_whole_photograph(
    codec: None, scorer: Scorer, plain: Scorer, tmp_path: Path
) -> None:
    """For comparison with the authors' figures: nothing is shrunk, so the CPU decodes."""
    paths = written(tmp_path, {"a.jpg": jpeg(scene())})
    (one,), (two,) = run(plain, paths, seed=1), run(scorer, paths, seed=1)
    assert isinstance(one, Score)
    assert isinstance(two, Score)
    assert one.raw == two.raw


def test_a_file_that_ends_its_process_there_is_decoded_by_the_cpu(
    stand_in: Path, scorer: Scorer, plain: Scorer, tmp_path: Path
) -> None:
    comments = ("fine", "SEGV", "fine too", "RAISE", "NONE", "SIZE")
    files = {f"{number}.jpg": jpeg(scene(), comment=word) for number, word in enumerate(comments)}
    paths = written(tmp_path, files)
    found = [result for result in run(scorer, paths) if isinstance(result, Score)]
    assert [result.path for result in found] == list(map(str, paths))
    assert [result.warnings for result in found] == [(), *[("cpu_decoded",)], (), *[("cpu_decoded",)] * 3]
    (wanted, *_) = run(plain, paths)
    assert isinstance(wanted, Score)
    assert found[1].raw == wanted.raw


def test_a_device_that_gives_other_pixels_is_refused_at_the_start(
    stand_in: Path, scorer: Scorer, tmp_path: Path
) -> None:
    stand_in.write_text(stand_in.read_text().replace("::1", "::-1"))
    with pytest.raises(BackendError, match=r"cannot start \(.*another picture"):
        run(scorer, written(tmp_path, {"a.jpg": jpeg(scene())}))
