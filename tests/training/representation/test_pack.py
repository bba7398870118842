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
from dgqa_training.representation.pack import Photographs, open_pack, write_pack

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
