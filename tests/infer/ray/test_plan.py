"""What is named is written down in partitions: each input once, in the order of one machine."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from dgqa_infer import ImageError, UsageError
from dgqa_infer.inputs.finder import InputFinder
from dgqa_infer.ray.destination import Destination
from dgqa_infer.ray.plan import make_plan, numbers_of, read_names, read_plan
from dgqa_infer.ray.secrets import Secrets


@pytest.fixture
def destination(tmp_path: Path) -> Destination:
    return Destination(str(tmp_path / "rows"))


def folder(path: Path, count: int) -> Path:
    path.mkdir()
    for number in range(count):
        (path / f"{number:04d}.jpg").touch()
    return path


def planned(destination: Destination, *named: str, actors: int = 1, **options: int) -> list[list[object]]:
    plan = make_plan(named, InputFinder(), destination, actors=actors, **options)
    parts = [read_names(destination, name) for name in plan.partitions]
    assert plan.inputs == sum(map(len, parts))
    return [list(part) for part in parts]


def test_partitions_are_the_inputs_of_one_machine_in_the_same_order(
    destination: Destination, photos: Path, tmp_path: Path
) -> None:
    named = [str(photos / "b"), str(photos), str(tmp_path / "gone.jpg")]
    parts = planned(destination, *named, largest=4)
    assert [each for part in parts for each in part] == list(InputFinder().find(named))
    assert max(map(len, parts)) == 4


def test_few_photographs_are_shared_out_among_all_actors(destination: Destination, tmp_path: Path) -> None:
    few = folder(tmp_path / "few", 320)
    assert list(map(len, planned(destination, str(few), actors=5))) == [16] * 20


def test_more_photographs_than_that_fill_partitions(destination: Destination, tmp_path: Path) -> None:
    many = folder(tmp_path / "many", 350)
    assert list(map(len, planned(destination, str(many), actors=2, largest=40))) == [40] * 8 + [30]


def test_names_that_are_not_text_and_names_with_line_ends_come_back_as_they_were(
    destination: Destination, tmp_path: Path
) -> None:
    odd = tmp_path / "odd"
    odd.mkdir()
    names = ["a\nb.jpg", "\udce9.jpg", 'quote".jpg', "\u2028.jpg"]
    for name in names:
        (odd / name).touch()
    assert sorted(*planned(destination, str(odd))) == sorted(f"{odd}/{name}" for name in names)  # type: ignore[type-var]


def test_an_input_that_cannot_be_named_is_planned_with_its_error(
    destination: Destination, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = ImageError("unreadable", "this folder cannot be listed: no", "a/b")
    monkeypatch.setattr(InputFinder, "find", lambda *_, **__: iter([error, "a/c.jpg"]))
    ((first, second),) = planned(destination, "a")
    assert isinstance(first, ImageError)
    assert (first.code, first.message, first.path) == (error.code, error.message, error.path)
    assert second == "a/c.jpg"


def test_what_folders_hold_besides_is_counted_and_remembered(
    destination: Destination, tmp_path: Path
) -> None:
    mixed = folder(tmp_path / "mixed", 2)
    (mixed / "notes.txt").write_text("no photograph")
    plan = make_plan([str(mixed)], InputFinder(), destination, actors=1)
    assert plan.passed_over == Counter(not_an_image=1)
    assert read_plan(destination) == plan


def test_a_plan_that_was_not_completed_is_none(destination: Destination, photos: Path) -> None:
    make_plan([str(photos)], InputFinder(), destination, actors=1)
    destination.remove("_dgqa/plan.json")
    assert read_plan(destination) is None


def test_stores_are_listed_side_by_side_and_their_partitions_keep_the_order(
    destination: Destination, tmp_path: Path
) -> None:
    pytest.importorskip("fsspec")
    named = []
    for letter in "ab":
        archive = tmp_path / f"{letter}.zip"
        with zipfile.ZipFile(archive, "w") as file:
            for number in range(3):
                file.writestr(f"{number}.jpg", b"")
        named.append(f"zip://::{archive}")
    plan = make_plan(named, InputFinder(), destination, actors=1, largest=2)
    assert plan.groups == (2, 2)
    found = [each for name in plan.partitions for each in read_names(destination, name)]
    assert found == list(InputFinder().find(named))


def test_a_store_that_cannot_be_listed_stops_the_plan(destination: Destination, tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK\x03\x04 and nothing")
    with pytest.raises(UsageError, match=r"broken\.zip: it cannot be listed"):
        make_plan([f"zip://::{broken}"], InputFinder(), destination, actors=1)
    assert read_plan(destination) is None


def test_names_that_have_vanished_are_not_taken_for_none(destination: Destination) -> None:
    with pytest.raises(UsageError, match="the names of part-000-0000000 are gone"):
        read_names(destination, "part-000-0000000")


def test_the_plan_is_json_that_others_can_read(destination: Destination, photos: Path) -> None:
    make_plan([str(photos)], InputFinder(), destination, actors=1)
    names = Path(destination.name, "_dgqa", "names", "part-000-0000000.jsonl").read_text()
    assert [json.loads(line) for line in names.splitlines()] == list(InputFinder().find([str(photos)]))


SIGNED = [
    "https://me:pw1@host/a.jpg",
    "https://host/plain.jpg",
    "https://host/b.jpg?token=pw2",
    "https://host/b.jpg?token=pw3",
]


@pytest.mark.parametrize("streamed", [False, True])
def test_credentials_and_signatures_are_not_written_down_and_come_back(
    destination: Destination, tmp_path: Path, streamed: bool
) -> None:
    secrets = Secrets()
    named = iter(SIGNED) if streamed else SIGNED
    plan = make_plan(named, InputFinder(), destination, actors=1, largest=3, secrets=secrets)
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"host/plain.jpg" in written
    assert b"pw" not in written
    found = [
        each
        for name in plan.partitions
        for each in read_names(
            destination, name, Secrets.from_part(secrets.part(numbers_of(destination, name)))
        )
    ]
    assert found == SIGNED


def test_to_continue_the_same_addresses_are_needed_and_their_signatures_may_be_fresh(
    destination: Destination,
) -> None:
    (name,) = make_plan(SIGNED[2:3], InputFinder(), destination, actors=1).partitions
    fresh = Secrets()
    fresh.kept(["https://host/b.jpg?token=fresh"])
    assert read_names(destination, name, fresh) == ["https://host/b.jpg?token=fresh"]
    other = Secrets()
    other.kept(["https://host/c.jpg?token=fresh"])
    for secrets in (None, other):
        with pytest.raises(UsageError, match="name the same addresses in the same order"):
            read_names(destination, name, secrets)


def test_members_of_an_archive_with_credentials_are_restored() -> None:
    secrets = Secrets()
    secrets.kept(["zip://in::https://me:pw@host/x.zip?sig=1", "tar://https://me:pw@host/x.tar"])
    member = "zip://in/a@b.jpg::https://me:pw@host/x.zip?sig=1"
    number = secrets.number(member)
    assert number is not None
    written = "zip://in/a@b.jpg::https://***@host/x.zip?sig=***"
    assert secrets.restored(number, written) == member
    assert secrets.number("zip://in/a@b.jpg::https://host/x.zip") is None
