"""Builds folders in the official layout of each public set, from image names and scores alone."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.sax.saxutils import escape
from zipfile import ZipFile

import numpy as np
import pytest
from scipy.io import savemat

Rows = Sequence[tuple[str, float]]
"""Name of the distorted image as the set's table has it, and its score."""

Builder = Callable[[Path, Rows], None]


def touch(folder: Path, names: Sequence[str]) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def write_xlsx(path: Path, sheet: str, rows: Sequence[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = "".join(
        f"<row r='{number}'>"
        + "".join(
            f"<c><v>{cell}</v></c>"
            if isinstance(cell, int | float)
            else f"<c t='inlineStr'><is><t>{escape(str(cell))}</t></is></c>"
            for cell in row
        )
        + "</row>"
        for number, row in enumerate(rows, 1)
    )
    with ZipFile(path, "w") as workbook:
        workbook.writestr(
            "xl/workbook.xml",
            f"<workbook xmlns:r='r'><sheets><sheet name='{sheet}' r:id='rId1'/></sheets></workbook>",
        )
        workbook.writestr(
            "xl/_rels/workbook.xml.rels",
            "<Relationships><Relationship Id='rId1' Target='worksheets/sheet1.xml'/></Relationships>",
        )
        workbook.writestr(
            "xl/worksheets/sheet1.xml", f"<worksheet><sheetData>{cells}</sheetData></worksheet>"
        )


def cell_array(names: Sequence[str]) -> np.ndarray:
    """What MATLAB stores {'a', 'b'} as."""
    array = np.empty(len(names), object)
    array[:] = names
    return array


def kadid10k(root: Path, rows: Rows) -> None:
    table = [(name, f"{name[:3]}.png", score, 0.5) for name, score in rows]
    write_csv(root / "dmos.csv", ("dist_img", "ref_img", "dmos", "var"), table)
    touch(root / "images", [name for row in table for name in row[:2]])


def livec(root: Path, rows: Rows) -> None:
    (root / "Data").mkdir(parents=True)
    names = [name for name, _ in rows]
    savemat(root / "Data/AllImages_release.mat", {"AllImages_release": cell_array(names)[:, None]})
    savemat(root / "Data/AllMOS_release.mat", {"AllMOS_release": np.array([[score for _, score in rows]])})
    touch(root / "Images", [name for name in names if not name.startswith("t")])
    touch(root / "Images/trainingImages", [name for name in names if name.startswith("t")])


def koniq10k(root: Path, rows: Rows) -> None:
    columns = ("image_name", "c1", "c_total", "MOS", "SD", "set")
    table = [
        (name, 0.1, 100, score, 0.5, ("training", "test")[index % 2])
        for index, (name, score) in enumerate(rows)
    ]
    write_csv(root / "koniq10k_distributions_sets.csv", columns, table)
    touch(root / "512x384", [name for name, _ in rows])


def bid(root: Path, rows: Rows) -> None:
    table = [(int(name[-8:-4]), score) for name, score in rows]
    write_xlsx(root / "DatabaseGrades.xlsx", "Plan1", [("Image Number", "Average Subjective Grade"), *table])
    touch(root, [name for name, _ in rows])


def pipal(root: Path, rows: Rows) -> None:
    (root / "Train_Label").mkdir(parents=True)
    contents: dict[str, list[str]] = {}
    for name, score in rows:
        contents.setdefault(name[:5], []).append(f"{name},{score}\n")
    for content, lines in contents.items():
        (root / "Train_Label" / f"{content}.txt").write_text("".join(lines))
        # The four archives hold the contents in four parts.
        part = root / f"Distortion_{1 + int(content[1:]) % 4}"
        touch(part, [line.split(",")[0] for line in lines])
    touch(root / "Train_Ref", [f"{content}.bmp" for content in contents])


LIVE_FOLDERS = (("jp2k", 227), ("jpeg", 233), ("wn", 174), ("gblur", 174), ("fastfading", 174))


def live(root: Path, rows: Rows) -> None:
    scores = dict(rows)
    names = [f"{kind}/img{number + 1}.bmp" for kind, count in LIVE_FOLDERS for number in range(count)]
    root.mkdir(parents=True, exist_ok=True)
    savemat(
        root / "dmos_realigned.mat",
        {
            "dmos_new": np.array([[scores.get(name, 0.0) for name in names]]),
            "orgs": np.array([[name not in scores for name in names]], np.uint8),
        },
    )
    savemat(root / "refnames_all.mat", {"refnames_all": cell_array(["rapids.bmp"] * len(names))[None]})
    touch(root, [*names, "refimgs/rapids.bmp"])


CSIQ_TYPES = {
    "AWGN": ("noise", "awgn"),
    "BLUR": ("blur", "blur"),
    "contrast": ("contrast", "contrast"),
    "fnoise": ("fnoise", "fnoise"),
    "JPEG": ("jpeg", "jpeg"),
    "jpeg2000": ("jpeg 2000", "jpeg2000"),
}


def csiq(root: Path, rows: Rows) -> None:
    table: list[Sequence[object]] = [("DMOS of all images",), ()]
    table.append(("image", "dst_idx", "dst_type", "dst_lev", "dmos_std", "dmos"))
    for name, score in rows:
        content, word, level, _ = name.split(".")
        kind, place = CSIQ_TYPES[word]
        table.append((content, 1, kind, int(level), 0.1, score))
        touch(root, [f"dst_imgs/{place}/{name}", f"src_imgs/{content}.png"])
    write_xlsx(root / "csiq.DMOS.xlsx", "all_by_image", table)


def tid2013(root: Path, rows: Rows) -> None:
    root.mkdir(parents=True, exist_ok=True)
    (root / "mos_with_names.txt").write_text("".join(f"{score:.5f} {name}\n" for name, score in rows))
    # As released: the table writes i01, many files I01; reference 25 alone is lower case.
    touch(root / "distorted_images", [name.replace("i01_", "I01_") for name, _ in rows])
    references = {f"I{name[1:3]}.BMP" for name, _ in rows}
    touch(root / "reference_images", ["i25.bmp" if name == "I25.BMP" else name for name in references])


def spaq(root: Path, rows: Rows) -> None:
    header = ("Image name", "MOS", "Brightness", "Colorfulness", "Contrast", "Noisiness", "Sharpness")
    table = [(name, score, 40.0, 41.0, 42.0, 43.0, 44.0) for name, score in rows]
    write_xlsx(root / "Annotations/MOS and Image attribute scores.xlsx", "Sheet1", [header, *table])
    touch(root / "TestImage", [name for name, _ in rows])


def biq2021(root: Path, rows: Rows) -> None:
    half = len(rows) // 2
    for split, part in (("Train", rows[half:]), ("Test", rows[:half])):
        # Two empty columns follow, as in the released files.
        table = [(name, score, "", "") for name, score in part]
        write_csv(root / f"{split} (Images and MOS).csv", ("Image Name", "MOS", "", ""), table)
    touch(root / "Images", [name for name, _ in rows])


def flive(root: Path, rows: Rows) -> None:
    write_csv(root / "labels_image.csv", ("name", "mos"), rows)
    touch(root / "database", [name for name, _ in rows])


BUILDERS: dict[str, Builder] = {
    builder.__name__: builder
    for builder in (kadid10k, livec, koniq10k, bid, pipal, live, csiq, tid2013, spaq, biq2021, flive)
}


@pytest.fixture(scope="session")
def build() -> Callable[[str, Path, Rows], None]:
    """Build a folder: name of the set, root, rows."""
    return lambda name, root, rows: BUILDERS[name](root, rows)


@pytest.fixture(scope="session")
def write_table() -> Callable[[Path, Sequence[str], Sequence[Sequence[object]]], None]:
    """Write a CSV: path, header, rows."""
    return write_csv
