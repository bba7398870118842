import contextlib
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sources import empty_sources

from dgqa_infer import OutputError, UsageError
from dgqa_infer.images.decode import decode
from dgqa_training.representation.pack import KINDS, Photographs, open_pack, write_pack

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "photos"


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> dict[str, Path]:
    """Four pristine photographs, one of them larger than is needed, and seven others."""
    sources = empty_sources(tmp_path_factory.mktemp("sources"))
    for path in EXAMPLES.glob("*.webp"):
        kind = "authentic" if "-" in path.stem else "pristine"
        (sources[kind] / path.name).write_bytes(path.read_bytes())
    large = Image.open(EXAMPLES / "astronaut.webp").resize((1024, 1024))
    large.save(sources["pristine"] / "astronaut.webp", lossless=True)
    return sources


def test_the_same_photographs_make_the_same_bytes_and_another_seed_leaves_out_others(tmp_path, sources):
    limit = 450_000
    facts = [write_pack(tmp_path / f"{n}.tar", sources, limit=limit, seed=n // 2) for n in range(4)]
    packs = [(tmp_path / f"{n}.tar").read_bytes() for n in range(4)]
    assert packs[0] == packs[1]
    assert packs[2] == packs[3]
    assert facts[0]["left_out"].keys() != facts[2]["left_out"].keys()


@pytest.mark.parametrize("limit", [200_000, 300_000, 500_000])
def test_a_pack_keeps_within_its_limit_and_names_what_it_left_out(tmp_path, sources, limit):
    facts = write_pack(tmp_path / "pack.tar", sources, limit=limit)
    assert (tmp_path / "pack.tar").stat().st_size <= limit
    with tarfile.open(tmp_path / "pack.tar") as archive:
        names = {name.removesuffix(".webp") for name in archive.getnames() if name != "pack.json"}
        told = json.load(archive.extractfile("pack.json"))
    assert told == facts
    left_out = {name.removesuffix(".webp") for name in facts["left_out"]}
    assert left_out
    assert set(facts["left_out"].values()) == {"no room"}
    given = {f"{kind}/{path.stem}" for kind, folder in sources.items() for path in folder.iterdir()}
    assert names | left_out == given
    assert not names & left_out
    assert facts["pristine"] + facts["authentic"] == len(names)


def test_photographs_come_out_as_they_went_in_but_shrunk(tmp_path, sources):
    write_pack(tmp_path / "pack.tar", sources)
    found = open_pack(tmp_path / "pack.tar", tmp_path / "opened")
    assert [path.name for path in found.pristine] == sorted(p.name for p in sources["pristine"].iterdir())
    assert len(found.authentic) == 7
    for path in found.pristine:
        before, after = decode(sources["pristine"] / path.name).pixels, decode(path).pixels
        if min(before.shape[:2]) > 512:
            before = np.asarray(Image.fromarray(before).resize((512, 512), Image.Resampling.BICUBIC))
        assert before.shape == after.shape
        error = np.square(before.astype(float) - after).mean()
        assert 10 * np.log10(255**2 / error if error else np.inf) > 30  # dB


def test_an_unreadable_photograph_is_left_out_with_its_reason(tmp_path, sources):
    folder = tmp_path / "pristine"
    folder.mkdir()
    (folder / "coffee.webp").write_bytes((sources["pristine"] / "coffee.webp").read_bytes())
    (folder / "broken.webp").write_bytes((sources["pristine"] / "coffee.webp").read_bytes()[:200])
    facts = write_pack(tmp_path / "pack.tar", {"pristine": folder})
    assert facts["left_out"].keys() == {"pristine/broken.webp"}
    assert facts["left_out"]["pristine/broken.webp"] in ("truncated", "corrupt", "unreadable")


def test_a_pack_that_is_there_is_not_replaced_unasked(tmp_path, sources):
    (tmp_path / "pack.tar").write_bytes(b"mine")
    with pytest.raises(OutputError):
        write_pack(tmp_path / "pack.tar", sources)
    assert (tmp_path / "pack.tar").read_bytes() == b"mine"


def test_nothing_is_unpacked_outside_the_folder(tmp_path):
    with tarfile.open(tmp_path / "pack.tar", "w") as archive:
        member = tarfile.TarInfo("../outside.webp")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"bad"))
    with pytest.raises(UsageError, match="no pack"):
        open_pack(tmp_path / "pack.tar", tmp_path / "inside")
    assert not (tmp_path / "outside.webp").exists()


def test_what_is_kept_back_is_never_trained_on_and_does_not_change_with_the_folder(tmp_path, photographs):
    trained, kept = photographs.split(0.25)
    assert len(kept.pristine) == len(kept.authentic) == 1
    assert not {*trained.pristine, *trained.authentic} & {*kept.pristine, *kept.authentic}
    assert sorted(trained.pristine + kept.pristine) == sorted(photographs.pristine)
    elsewhere = Photographs(*(tuple(tmp_path / path.name for path in paths) for paths in
                              (photographs.pristine, photographs.authentic)))  # fmt: skip
    assert [path.name for path in elsewhere.split(0.25)[1].pristine] == [path.name for path in kept.pristine]


def small(folder: Path, *names: str) -> Path:
    """A folder of grey photographs that are packed in no time."""
    folder.mkdir()
    for name in names:
        Image.new("RGB", (40, 40), (90, 90, 90)).save(folder / f"{name}.webp")
    return folder


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "broken off"])
def test_another_pack_in_the_same_folder_replaces_the_photographs_of_the_former(tmp_path, whole):
    write_pack(tmp_path / "first.tar", {kind: small(tmp_path / kind, "a", "b") for kind in KINDS})
    write_pack(tmp_path / "second.tar", {"pristine": small(tmp_path / "one", "coffee")})
    folder = tmp_path / "opened"
    first = open_pack(tmp_path / "first.tar", folder)
    (folder / "mine.txt").write_text("left alone")
    if not whole:
        data = (tmp_path / "second.tar").read_bytes()
        (tmp_path / "broken.tar").write_bytes(data[:1540])  # within the photograph
        with pytest.raises(UsageError):
            open_pack(tmp_path / "broken.tar", folder)
        assert open_pack(tmp_path / "first.tar", folder) == first
    found = open_pack(tmp_path / "second.tar", folder)
    assert found == Photographs((folder / "pristine" / "coffee.webp",), ())
    assert (folder / "mine.txt").read_text() == "left alone"


def test_a_folder_is_left_as_it_is_by_what_is_no_pack(tmp_path):
    write_pack(tmp_path / "pack.tar", {"pristine": small(tmp_path / "pristine", "a", "b")})
    found = open_pack(tmp_path / "pack.tar", tmp_path / "opened")
    (tmp_path / "no.tar").write_bytes(b"not a tar")
    with pytest.raises(UsageError, match="no pack"):
        open_pack(tmp_path / "no.tar", tmp_path / "opened")
    assert Photographs.in_folder(tmp_path / "opened") == found


def test_photographs_whose_names_would_become_the_same_are_all_packed(tmp_path):
    folder = tmp_path / "pristine"
    folder.mkdir()
    noise = np.random.default_rng(0)
    names = ("x.png", "x.png.webp", "x.png.1.webp")
    for level, name in enumerate(names, 1):
        pixels = (80 * level + noise.integers(0, 9, (40, 40, 3))).astype(np.uint8)
        Image.fromarray(pixels).save(folder / name, lossless=True, compress_level=0)
    facts = write_pack(tmp_path / "pack.tar", {"pristine": folder})
    found = open_pack(tmp_path / "pack.tar", tmp_path / "opened").pristine
    assert facts["pristine"] == len(found) == 3
    brightness = sorted(round(decode(path).pixels.mean() / 80) for path in found)
    assert brightness == [1, 2, 3]


@pytest.mark.parametrize("letter", ["a", "ж", "写", '"'])
def test_names_in_any_script_keep_a_pack_within_its_limit(tmp_path, letter):
    """The manifest names what was left out; as \\uXXXX a name would take three times its bytes."""
    authentic = tmp_path / "authentic"
    authentic.mkdir()
    for number in range(100):
        (authentic / f"{letter * 80}{number}.webp").write_bytes(b"broken")
    pristine = small(tmp_path / "pristine", "plain")
    # The least limit, to a few kilobytes, at which the photograph is packed.
    limit = (pristine / "plain.webp").stat().st_size
    while True:
        with contextlib.suppress(UsageError):
            write_pack(tmp_path / "pack.tar", {"pristine": pristine, "authentic": authentic}, limit=limit)
            break
        limit += 4_000
    assert (tmp_path / "pack.tar").stat().st_size <= limit


def test_a_name_that_is_no_text_is_told_in_the_manifest(tmp_path):
    folder = small(tmp_path / "pristine", "plain")
    (folder / "\udcff.webp").write_bytes(b"broken")
    facts = write_pack(tmp_path / "pack.tar", {"pristine": folder})
    with tarfile.open(tmp_path / "pack.tar") as archive:
        assert json.load(archive.extractfile("pack.json")) == facts
    assert "pristine/\udcff.webp" in facts["left_out"]
