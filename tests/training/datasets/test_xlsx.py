"""Workbooks with made-up grades, written by openpyxl and XlsxWriter."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

import pytest

from dgqa_infer.errors import UsageError
from dgqa_training.datasets._reading import SetFolder
from dgqa_training.datasets._xlsx import read_sheet
from dgqa_training.datasets.bid import FACTS


@pytest.fixture
def workbooks(repository: Path) -> Path:
    return repository / "tests" / "data" / "datasets"


def test_the_first_sheet_is_read_as_text_with_excels_row_numbers(workbooks: Path) -> None:
    assert read_sheet(workbooks / "openpyxl.xlsx") == [
        (1, ["Image Number", "Average Subjective Grade", "remark"]),
        (2, ["1", "4.5", "sharp & bright"]),
        (3, ["3", "1.3001889"]),
        (4, ["4", "0", "zero is a grade"]),
    ]


def test_a_table_that_begins_in_the_middle_of_a_sheet_keeps_its_columns(workbooks: Path) -> None:
    rows = SetFolder(workbooks, FACTS).xlsx(
        workbooks / "openpyxl.xlsx", ("image", "dst_type", "dst_lev", "dmos"), "all_by_image"
    )
    first, second, third = rows
    assert (first["image"], first["dst_type"], first.number("dst_lev"), first.number("dmos")) == (
        "1600",
        "noise",
        1.0,
        0.06,
    )
    assert (second["dst_type"], second["dmos_std"]) == ("jpeg 2000", "")
    with pytest.raises(UsageError, match=r"openpyxl\.xlsx, row 7: dmos is '', not a finite number"):
        third.number("dmos")  # a formula whose value was never computed


def test_rich_text_stored_formula_values_and_far_columns_are_read(workbooks: Path) -> None:
    rows = read_sheet(workbooks / "xlsxwriter.xlsx")
    assert rows[:3] == [(1, ["Image name", "MOS"]), (2, ["00001.jpg", "48.86"]), (3, ["00002.jpg", "62.5"])]
    number, cells = rows[3]
    assert (number, cells[0], cells[27], len(cells)) == (31, "a.jpg", "7", 28)


def test_a_sheet_that_is_not_there_is_answered_with_those_that_are(workbooks: Path) -> None:
    with pytest.raises(UsageError, match=r"no sheet 'Plan2'; it has \['Plan1', 'all_by_image'\]"):
        read_sheet(workbooks / "openpyxl.xlsx", "Plan2")


def test_a_missing_column_is_named(workbooks: Path) -> None:
    with pytest.raises(UsageError, match=r"openpyxl\.xlsx: no column stars"):
        list(SetFolder(workbooks, FACTS).xlsx(workbooks / "openpyxl.xlsx", ("stars",)))


def test_a_file_that_is_no_workbook_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_text("Image Number;Grade\n1;4.5\n")
    with pytest.raises(UsageError, match=r"a\.xlsx is not a readable \.xlsx workbook"):
        read_sheet(tmp_path / "a.xlsx")


def test_a_zip_of_something_else_is_refused_by_name(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "a.xlsx", "w") as archive:
        archive.writestr("word/document.xml", "<a/>")
    with pytest.raises(UsageError, match=r"a\.xlsx is not a readable \.xlsx workbook"):
        read_sheet(tmp_path / "a.xlsx")
