from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dgqa_infer.cli._output import Output
from dgqa_infer.outputs import FORMATS, open_sink
from dgqa_infer.outputs.jsonl import encode

ENDINGS = {"table": "txt"}
SCRIPT = "<script>alert(1)"
NAMES = [
    f"{SCRIPT}.png",
    "<img src=x onerror=alert(1)>.png",
    "=cmd|' !A0.png",
    "@SUM(1+1).png",
    "\x1b]0;pwned\x07.png",
    "-rf.png",
    "--help.png",
    "a\nb.png",
    "';DROP TABLE photos;.png",
    "${jndi:ldap:x}.png",
    "$(touch pwned).png",
    "%s%n.png",
]


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    folder = tmp_path / "hostile"
    folder.mkdir()
    tags = Image.Exif()
    tags[0x010E] = tags[0x013B] = SCRIPT
    for name in NAMES:
        Image.new("RGB", (40, 40)).save(folder / name, exif=tags)
    return folder


@pytest.fixture
def score(cli: Any, tiny_bundle: Path) -> Any:
    return lambda *arguments: cli(
        "score", "--model", tiny_bundle, "--device", "cpu", "--workers", 1, *arguments
    )


@pytest.mark.parametrize("format", FORMATS)
def test_names_and_metadata_are_text_in_every_format(
    score: Any, hostile: Path, tmp_path: Path, format: str
) -> None:
    if format == "parquet":
        pytest.importorskip("pyarrow")
    output = tmp_path / "rows"
    ran = score(hostile, "--format", format, "--output", output)
    assert ran.code == 0
    data = output.read_bytes()
    if format == "html":
        assert SCRIPT.encode() not in data
    if format in ("csv", "table"):
        # A spreadsheet and a terminal act on what stands first, and paths from a folder begin with its name.
        assert not any(line.startswith((b"=", b"@", b"+", b"-", b"\x1b")) for line in data.splitlines())
    if format in ("table", "html"):
        assert b"\x1b" not in data
    assert not Path("pwned").exists()


def test_formulas_in_bare_names_are_neutralised(
    score: Any, hostile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(hostile)
    lines = score("--format", "csv", "--", *sorted(NAMES)).stdout.decode().splitlines()
    begins = [line[:2] for line in lines if "cmd" in line or "SUM" in line or "rf" in line or "help" in line]
    assert begins == ["'-", "'-", "'=", "'@"]


@pytest.mark.parametrize(
    "start", ["\uff1d", "\uff0b", "\uff0d", "\uff20", " =", "\u3000@", "\xa0+", "\ufeff="]
)
def test_formulas_behind_space_or_in_wide_characters_are_neutralised(start: str) -> None:
    """Excel takes the wide ones for its own where the language is Japanese, and skips space in some ways."""
    stream = io.BytesIO()
    with open_sink("csv", stream) as sink:
        sink.write({"path": f"{start}1+1", "score": 1, "model": "tiny@0"})  # type: ignore[typeddict-item]
    assert stream.getvalue().decode().splitlines()[1].startswith(f"'{start}1+1,")


ACTING = ["\x7f", "\x85", "\x9b", "\x9f", "\u061c", "\u200f", "\u2028", "\u202e", "\u2066", "\u2069"]


@pytest.mark.parametrize("character", ACTING, ids=ascii)
def test_json_escapes_what_acts_on_a_terminal_and_means_the_same(
    character: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """C1 controls begin commands as ESC does; a right-to-left override shows a name that it is not."""
    name = f"caf\xe9{character}gpj.exe"
    line = encode({"path": name, "model": "tiny@0"}).decode()  # type: ignore[typeddict-item]
    Output(json=True).document({"path": name})
    for text in (line, capsys.readouterr().out):
        assert all(each.isprintable() for each in text.splitlines())
        assert character not in text
        assert "caf\xe9" in text, "what does no harm can be read"
        assert json.loads(text)["path"] == name


def test_names_that_look_like_options_can_be_scored(
    score: Any, hostile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(hostile)
    ran = score("--", "-rf.png", "--help.png")
    assert [row["path"] for row in ran.rows] == ["-rf.png", "--help.png"]


def test_what_is_said_on_stderr_cannot_drive_a_terminal(score: Any, tmp_path: Path) -> None:
    ran = score(tmp_path, "--output", tmp_path / "no\x1b[2Jne" / "x.jsonl")
    assert ran.code == 2
    assert "\x1b" not in ran.stderr


def test_a_link_to_a_folder_leads_nowhere_unless_asked(score: Any, tmp_path: Path, make_photo: Any) -> None:
    """A link to a file is followed: folders of links to photographs are common."""
    secret = make_photo(tmp_path / "secret" / "secret.png")
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "innocent.png").symlink_to(secret)
    (folder / "folder").symlink_to(secret.parent)
    ran = score(folder)
    assert [Path(row["path"]).name for row in ran.rows] == ["innocent.png"]
    assert "1 symlink" in ran.stderr


def test_rows_that_pretend_to_have_been_written_by_us_are_not_believed_for_other_files(
    score: Any, tmp_path: Path, make_photo: Any
) -> None:
    """Size, time and model must be right, or the photograph is scored."""
    photo = make_photo(tmp_path / "a.png")
    output = tmp_path / "rows.jsonl"
    output.write_text(
        f'{{"path": "{photo}", "score": 99.0, "model": "tiny@00000000", "size": 1, "mtime": 0}}\n'
    )
    ran = score(photo, "--output", output, "--resume")
    assert ran.stderr.startswith("1 scored")


def test_nothing_is_written_but_the_output(score: Any, hostile: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    score(hostile, "--output", tmp_path / "rows.jsonl")
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert set(after) - set(before) == {tmp_path / "rows.jsonl"}
    assert all(after[path] == changed for path, changed in before.items() if path != tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="device files")
def test_devices_and_pipes_are_not_waited_for(score: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    ran = score("/dev/zero", "/dev/tty", tmp_path / "pipe.png")
    assert {row["error"]["code"] for row in ran.rows} <= {"unreadable", "not_found"}
    assert len(ran.rows) == 3
