"""The report's data, and that nothing in it becomes markup. In a browser: test_html_browser.py."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.outputs import html
from dgqa_infer.outputs.html import HtmlSink, script_json
from dgqa_infer.outputs.html.digest import BEST, Digest, compact
from dgqa_infer.outputs.html.pictures import Picturing
from dgqa_infer.text import printable

HOSTILE = "<script>alert(1)</script>.jpg"


def row(path: str | None = "a.jpg", score: float = 50.0, **more: Any) -> dict[str, Any]:
    values = {"path": path, "score": score, "raw": score / 10, "spread": 0.5, "width": 40, "height": 30}
    return values | {"warnings": [], "model": "tiny@0", "size": 1, "mtime": 1.0} | more


def dark_row(path: str, score: float, **more: Any) -> dict[str, Any]:
    attributes = {"sharpness": 0.7, "brightness": 9.0, "clipped": 0.0, "noise": 0.5}
    return row(path, score, width=4000, height=3000, distortions=[], attributes=attributes | more)


def failure(code: str = "empty", path: str = "bad.jpg") -> dict[str, Any]:
    return {"path": path, "error": {"code": code, "message": "no bytes"}, "model": "tiny@0"}


class Page(HTMLParser):
    """What an HTML parser makes of the page: its elements, and the text of scripts and styles by their id."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.raw: dict[str, str] = {}
        self._inside: str | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        self._inside = None
        if tag in ("script", "style"):
            self._inside = dict(attrs).get("id") or tag
            self.raw[self._inside] = ""

    def handle_endtag(self, tag: str) -> None:
        self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside is not None:
            self.raw[self._inside] += data

    @property
    def rows(self) -> Any:
        return json.loads(self.raw["rows"])

    @property
    def report(self) -> Any:
        return json.loads(self.raw["report"])

    @property
    def pictures(self) -> dict[str, dict[str, str]]:
        """Row number → its pictures."""
        return json.loads(self.raw["pictures"])  # type: ignore[no-any-return]

    def pictures_of(self, path: str) -> dict[str, str]:
        (place,) = [place for place, each in enumerate(self.rows) if each[0] == path]
        return self.pictures.get(str(place), {})


def page(rows: list[dict[str, Any]], **options: Any) -> Page:
    stream = io.BytesIO()
    with HtmlSink(stream, **({"picturing": Picturing(worst=0, bytes=0)} | options)) as sink:
        for each in rows:
            sink.write(each)
    return Page(stream.getvalue().decode())


def test_the_page_has_a_row_for_every_row_and_says_what_they_come_to() -> None:
    found = page([row("a.jpg", 10), row("b.jpg", 90.5, warnings=["upscaled"]), failure()])
    assert found.rows == [
        ["a.jpg", 10, 1, 0.5, 40, 30],
        ["b.jpg", 90.5, 9.05, 0.5, 40, 30, "upscaled"],
        ["bad.jpg", *[None] * 7, "empty", "no bytes"],
    ]
    report = found.report
    assert (report["total"], report["failed"], report["failures"]) == (3, 1, {"empty": 1})
    assert report["models"] == ["tiny@0"]
    assert report["histogram"][2] == report["histogram"][18] == 1
    assert sum(report["histogram"]) == 2


def test_a_page_without_rows_is_a_page() -> None:
    found = page([])
    assert found.rows == []
    assert found.report["quantiles"] is None


@settings(max_examples=15, deadline=None)
@given(st.lists(st.text(), min_size=1, max_size=5))
@example([HOSTILE])
@example(
    ["</script><img src=x onerror=alert(1)>", "<!--<script>", "\u2028\u2029", "&lt;", "]]>", "{{report}}"]
)
@example(["caf\udce9.jpg", "gpj.\u202eexe", "a\0b", "\ud800"])
def test_no_name_becomes_markup(names: list[str]) -> None:
    plain = page([row("a.jpg", distortions=[])])
    found = page(
        [
            row(name, distortions=[{"name": name, "probability": 0.5}], warnings=[name], model=name)
            for name in names
        ]
        + [failure(code=name, path=name) for name in names]
    )
    assert found.tags == plain.tags
    assert [each[0] for each in found.rows] == [printable(name) for name in names] * 2


@settings(max_examples=50, deadline=None)
@given(st.recursive(st.text() | st.integers() | st.none(), st.lists))
def test_data_in_a_script_has_no_character_that_html_knows_and_is_the_same_data(data: Any) -> None:
    text = script_json(data)
    assert text.isascii()
    assert not set("<>&") & set(text)
    assert json.loads(text) == data


def test_the_policy_allows_the_pages_own_style_and_script_and_nothing_else() -> None:
    found = page([row(HOSTILE)])
    policy = next(value for tag, name, value in found.attributes if (tag, name) == ("meta", "content"))
    rules = dict(rule.strip().split(" ", 1) for rule in (policy or "").split(";"))
    for kind in ("style", "script"):
        digest = hashlib.sha256(found.raw[kind].encode()).digest()
        assert rules.pop(f"{kind}-src") == f"'sha256-{base64.b64encode(digest).decode()}'"
    assert rules == {
        "default-src": "'none'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert found.tags.count("script") == 4
    assert found.tags.count("style") == 1


def test_nothing_of_the_page_comes_from_elsewhere() -> None:
    found = page([row()])
    assert not {"link", "iframe", "object", "embed", "base"} & set(found.tags)
    assert not [each for each in found.attributes if each[1] in ("src", "href", "style", "action", "srcset")]
    assert not [each for each in found.attributes if each[1].startswith("on")]
    assert "//" not in found.raw["style"].replace("/*", "")
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval", "fetch(", "http"):
        assert word not in found.raw["script"]


def test_a_table_that_would_be_too_long_is_cut_and_the_rest_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(html, "TABLE_ROWS", 5)
    found = page([row(f"{number}.jpg", number) for number in range(9)])
    assert len(found.rows) == 5
    assert found.report["total"] == sum(found.report["histogram"]) == 9


# What is counted


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 10_000).map(lambda number: number / 100), min_size=1, max_size=80))
def test_bars_are_those_of_the_scores(scores: list[float]) -> None:
    digest = Digest(0)
    for score in scores:
        digest.count(row(score=score), compact(row(score=score), digest.names))
    # In hundredths, so that a bar's ends are whole numbers.
    expected_bars = np.histogram(np.round(np.array(scores) * 100), np.arange(0, 10_001, 500))[0]
    assert digest.histogram() == expected_bars.tolist()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from([3.0, 20.0, 20.5, 70.0]), min_size=0, max_size=30), st.integers(0, 6))
def test_the_worst_and_the_best_are_the_ends_of_the_order_and_never_the_same(
    scores: list[float], pictures: int
) -> None:
    digest = Digest(pictures)
    for place, score in enumerate(scores):
        each = row(f"{place}.jpg", score)
        digest.count(each, compact(each, digest.names))
    worst, best = digest.worst(), digest.best()
    order = sorted(range(len(scores)), key=lambda place: (scores[place], place))
    assert [each.place for each in worst] == order[: min(pictures, (len(scores) + 1) // 2)]
    assert [each.place for each in best] == order[::-1][: min(BEST, pictures, len(scores) // 2)]
    assert [each.place for each in digest.from_the_worst()] == order
    assert not {each.place for each in worst} & {each.place for each in best}


def test_what_is_no_photograph_is_among_neither_the_worst_nor_the_best_but_has_its_picture() -> None:
    digest = Digest(10)
    for place, score in enumerate([2.0, 30.0, 60.0, 99.0]):
        each = row(f"{place}.png", score, warnings=["not_a_photograph"] if place in (0, 3) else [])
        digest.count(each, compact(each, digest.names))
    assert [each.place for each in digest.worst()] == [1]
    assert [each.place for each in digest.best()] == [2]
    assert [each.place for each in digest.from_the_worst()] == [0, 1, 2, 3]


def test_distortions_and_gate_are_counted() -> None:
    grain = {"name": "grain", "probability": 0.5}
    blur = {"name": "motion blur", "probability": 0.2, "severity": 2.26}
    gate = {"passed": False, "reasons": ["score 1.0 is below 60"], "within_tolerance": False}
    found = page(
        [
            row(distortions=[grain, blur], votes=[1, 2, 3, 4], gate=gate),
            row(distortions=[grain], votes=[1, 2, 3, 5], gate=gate | {"passed": True, "reasons": []}),
            row(distortions=[]),
            failure(),
        ]
    )
    report = found.report
    assert report["distortions"] == {"photos": 3, "none": 1, "named": [["grain", 2], ["motion blur", 1]]}
    assert report["gate"] == {"failed": 1, "passed": 1}
    assert [each[7] for each in found.rows[:2]] == [[[0, 0.5], [1, 0.2, 2.3]], [[0, 0.5]]]
    assert found.rows[0][10] == ["score 1.0 is below 60"]
    assert found.rows[1][10] == []
    assert {each["name"]: each["here"] for each in report["profile"]}["out of focus"] == 1


def test_a_page_says_what_scores_of_its_model_mean_as_the_card_does() -> None:
    bundle = Bundle.load("dgqa-lite0")
    (anchors,) = (figure for figure in bundle.card.figures if figure["kind"] == "anchors")
    meaning = page([row(model=bundle.model_id)]).report["meaning"]
    assert [each["score"] for each in meaning] == [20, 40, 60, 80]
    assert [each["below"] for each in meaning] == [
        each["share_of_photographs_below"] for each in anchors["anchors"]
    ]
    assert all(each["what"] in meaning[0]["like"] for each in anchors["anchors"][0]["looks_like"])
    assert page([row(model="another@00000000")]).report["meaning"] == []


def test_names_that_never_end_take_no_memory_without_end() -> None:
    digest = Digest(3)
    for number in range(1000):
        each = row(f"{number}.jpg", model=f"m{number}")
        each["distortions"] = [{"name": f"n{number}", "probability": 1}]
        digest.count(each, compact(each, digest.names))
        digest.count(failure(f"c{number}"), compact(failure(f"c{number}"), digest.names))
    assert len(digest.names) <= 201
    assert len(digest.models) <= 201
    assert len(digest.as_json()["failures"]) <= 201


# Why a photograph stands where it does


def why(found: Page) -> list[list[str]]:
    return [[found.report["phrases"][number] for number in each] for each in found.report["why"]]


def test_each_row_has_the_reasons_that_its_whole_set_gives_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # The softest comes first: what it is compared with is not known when its row is written.
    rows = [dark_row(f"{n}.jpg", 20 + n, brightness=45.0, sharpness=0.3 + 0.002 * n) for n in range(40)]
    rows.insert(1, failure())
    found = page([*rows, dark_row("dark.jpg", 1), dark_row("on purpose.jpg", 99)])
    assert why(found)[0] == ["softer than 97 % of these"]
    assert why(found)[1] == why(found)[-1] == []
    assert why(found)[-2] == ["dark: mean brightness 9 of 100"]
    assert len(found.report["phrases"]) == len(set(found.report["phrases"]))


def test_the_worst_have_their_reasons_where_the_table_does_not_hold_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(html, "TABLE_ROWS", 2)
    rows = [dark_row(f"{number}.jpg", 50 - number) for number in range(6)]
    found = page(rows, picturing=Picturing(worst=2, bytes=0))
    assert len(found.report["why"]) == 2
    worst = [found.report["shown"][each] for each in found.report["worst"]]
    assert [each["place"] for each in worst] == [5, 4]
    assert [each["why"] for each in worst] == [["dark: mean brightness 9 of 100"]] * 2


# The command


@pytest.fixture
def report(cli: Any, tiny_bundle: Path, tmp_path: Path) -> Any:
    def run(rows: list[Any], *options: object) -> tuple[Any, Page | None]:
        file, output = tmp_path / "rows.jsonl", tmp_path / "report.html"
        lines = [each if isinstance(each, bytes) else json.dumps(each).encode() + b"\n" for each in rows]
        file.write_bytes(b"".join(lines))
        ran = cli("report", file, "--model", tiny_bundle, "-o", output, "--overwrite", *options)
        return ran, Page(output.read_text()) if output.exists() else None

    return run


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (b"no json\n", "is not JSON"),
        (b"[" * 100_000 + b"\n", "is not JSON"),
        ([], "is not as rows are"),
        ({"path": "a"}, "lacks 'score'"),
        (row(path=3), "int where a text should be"),  # type: ignore[arg-type]
        (row(score=101), "101 where there should be a number from 0 to 100"),
        (row(score=float("nan")), "nan where"),
        (row(score=True), "bool where a number should be"),
        (row(width=0), "0 where"),
        (row(warnings=[1]), "int where a text should be"),
        (row(distortions=[], attributes={"sharpness": 0.5}), "lacks 'brightness'"),
        (row(distortions=[], attributes="soft"), "is not as rows are"),
        (dark_row("a.jpg", 1, noise=float("nan")), "cannot convert float NaN to integer"),
        (row(distortions=[{"name": "grain"}]), "lacks 'probability'"),
        (row(gate={"passed": False}), "lacks 'reasons'"),
        (failure() | {"error": "broken"}, "is not as rows are"),
    ],
)
def test_what_is_no_row_is_named_with_its_line_and_leaves_no_page(report: Any, bad: Any, words: str) -> None:
    ran, found = report([row(), bad, row("c.jpg")])
    assert ran.code == 2
    assert "line 2 is no" in ran.stderr
    assert words in ran.stderr
    assert "Traceback" not in ran.stderr
    assert found is None


def test_the_torn_end_of_a_run_that_was_killed_is_left_out(report: Any) -> None:
    ran, found = report([row(), b'{"path": "b.jpg", "sco'])
    assert ran.code == 0
    assert len(found.rows) == 1
    assert "the last line of" in ran.stderr


def test_rows_that_cannot_be_read_and_pages_that_cannot_be_written_are_told(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("")
    ran = cli("report", tmp_path / "none.jsonl")
    assert (ran.code, "none.jsonl cannot be read" in ran.stderr) == (2, True)
    ran = cli("report", tmp_path / "rows.jsonl", "-o", tmp_path / "none" / "report.html")
    assert (ran.code, "report.html cannot be written" in ran.stderr) == (2, True)
    ran = cli("report", tmp_path / "rows.jsonl", "--photos", tmp_path / "none")
    assert (ran.code, "none is no folder" in ran.stderr) == (2, True)


@pytest.fixture
def scored(cli: Any, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Rows of four photographs in a folder, from within which they were scored."""
    (tmp_path / "photos").mkdir()
    for number, name in enumerate((HOSTILE.replace("/", "_"), "b.png", "c.png", "d.png")):
        Image.new("RGB", (60, 40), (50 * number + 20,) * 3).save(tmp_path / "photos" / name, "PNG")
    monkeypatch.chdir(tmp_path)
    return cli("score", "photos", "--model", tiny_bundle, "--device", "cpu", "--workers", 1).rows  # type: ignore[no-any-return]


def opened(picture: str) -> Image.Image:
    kind, data = picture.split(";base64,")
    assert kind == "data:image/webp"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_the_worst_and_the_best_have_pictures_and_maps_and_the_others_small_ones(
    report: Any, scored: list[Any]
) -> None:
    ran, found = report(scored, "--worst", 1)
    assert ran.code == 0
    assert (found.report["worst"], found.report["best"]) == ([0], [1])
    worst, best = (found.pictures[str(each["place"])] for each in found.report["shown"])
    assert found.report["shown"][0]["row"][0].startswith("photos/<script>")
    for each, grey in ((worst, 20), (best, 170)):
        with opened(each["photo"]) as photo:
            assert photo.size == (60, 40)
            assert photo.convert("RGB").getpixel((30, 20)) == pytest.approx((grey,) * 3, abs=3)
        with opened(each["map"]) as quality:
            assert quality.mode == "RGBA"
    others = [found.pictures_of(f"photos/{name}.png") for name in "bc"]
    assert [set(each) for each in others] == [{"thumb"}, {"thumb"}]


def test_pictures_take_no_more_than_their_space_and_the_worst_come_first(
    report: Any, scored: list[Any]
) -> None:
    _, whole = report(scored, "--worst", 0)
    each = len(whole.pictures_of("photos/b.png")["thumb"])
    _, found = report(scored, "--worst", 0, "--pictures", f"{2 * each + each // 2}B")
    assert sorted(found.pictures) == ["0", "1"]
    assert report(scored, "--pictures", "0")[1].pictures == {}


def test_no_file_but_the_one_that_was_scored_is_shown(report: Any, scored: list[Any], tmp_path: Path) -> None:
    (tmp_path / "photos" / "b.png").unlink()
    with (tmp_path / "photos" / "c.png").open("ab") as file:
        file.write(b"changed")
    # As large as the one that was scored, but another: its map is not that of the row.
    shown = {each["path"]: dict(each) for each in scored}
    shown["photos/d.png"]["raw"] = 1.0
    ran, found = report(list(shown.values()), "--worst", 2)
    assert [found.pictures_of(f"photos/{name}.png") for name in "bc"] == [{}, {}]
    assert set(found.pictures_of("photos/d.png")) == {"photo"}
    assert "2 of the 4 photographs to be shown have no picture" in ran.stderr


def test_nothing_outside_of_the_photographs_folder_is_read(
    report: Any, scored: list[Any], tmp_path: Path
) -> None:
    root = tmp_path / "photos"
    (tmp_path / "secret.png").write_bytes((root / "b.png").read_bytes())
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    size = (root / "b.png").stat().st_size
    names = [
        "b.png",
        "../secret.png",
        str(tmp_path / "secret.png"),
        "link.png",
        "https://localhost/b.png",
        "\0",
    ]
    rows = [scored[1] | {"path": name, "size": size} for name in names]
    _, found = report(rows, "--photos", root)
    assert set(found.pictures) == {"0"}


def test_rows_of_another_model_have_pictures_and_no_maps(report: Any, scored: list[Any]) -> None:
    ran, found = report([each | {"model": "other@12345678"} for each in scored])
    assert all(set(each) == {"photo"} for each in found.pictures.values())
    assert len(found.pictures) == 4
    assert "no quality maps: the rows are of other@12345678, not of tiny@" in ran.stderr


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_page_is_made_of_csv_and_parquet_too(
    cli: Any, tiny_bundle: Path, scored: list[Any], tmp_path: Path, ending: str
) -> None:
    fixed = ("--model", tiny_bundle, "--device", "cpu", "--workers", 1)
    assert cli("score", "photos", *fixed, "-o", f"rows.{ending}").code == 0
    ran = cli("report", f"rows.{ending}", "--model", tiny_bundle, "-o", "page.html", "--pictures", "0")
    assert ran.code == 0
    assert [each[:2] for each in Page(Path("page.html").read_text()).rows] == [
        [each["path"], each["score"]] for each in scored
    ]


def test_maps_of_photographs_that_a_gpu_decoded_are_drawn_here(report: Any, scored: list[Any]) -> None:
    """There need not be one where the page is written: the map of the CPU's pixels is the same to the eye."""
    _, found = report([each | {"model": f"{each['model']}+nvjpeg"} for each in scored])
    assert all("map" in each for each in found.pictures.values())


def test_a_run_can_write_the_page_itself(cli: Any, tiny_bundle: Path, photos: Path, tmp_path: Path) -> None:
    (photos / "bad.jpg").touch()
    output = tmp_path / "report.html"
    fixed = ("--model", tiny_bundle, "--device", "cpu", "--workers", 1)
    ran = cli("score", photos, *fixed, "-o", output)
    assert ran.code == 3
    found = Page(output.read_text())
    assert len(found.rows) == 10
    assert found.report["distortions"]["photos"] == 9
    assert all("map" in found.pictures[str(each["place"])] for each in found.report["shown"])
    assert not [path for path in tmp_path.iterdir() if path.name.startswith((".", "report.html."))]
    piped = Page(cli("score", photos, *fixed, "-f", "html").stdout.decode())
    assert piped.rows == found.rows
