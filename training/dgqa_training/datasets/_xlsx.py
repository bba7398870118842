"""Cells of an .xlsx sheet as text: BID, CSIQ and SPAQ publish their scores in no other form.

A workbook is a zip of XML; reading plain cells takes less than a dependency would. Formulas give their
stored value.
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree
from zipfile import BadZipFile, ZipFile

from dgqa_infer.errors import UsageError

_LARGEST_PART = 256 * 2**20
"""Bytes of one unpacked part; a score table of a hundred thousand rows has a tenth of that."""


def read_sheet(path: Path, sheet: str | None = None) -> list[tuple[int, list[str]]]:
    """Read one sheet of a workbook.

    Args:
        path: the .xlsx file.
        sheet: name of the sheet; None for the first.

    Returns:
        (row number as Excel shows it, cells as text), for every row that has cells; gaps are empty text.

    Raises:
        UsageError: not a workbook, or it has no such sheet.
    """
    try:
        with ZipFile(path) as workbook:
            strings = _shared_strings(workbook)
            document = _part(workbook, _sheet_part(workbook, path, sheet))
    except (BadZipFile, KeyError, ElementTree.ParseError) as error:
        raise UsageError(f"{path} is not a readable .xlsx workbook: {error}") from error
    rows = []
    for number, row in enumerate(_all(document, "row"), 1):
        cells: list[str] = []
        for cell in _all(row, "c"):
            column = _column(cell.get("r", ""), len(cells))
            cells.extend([""] * (column - len(cells)))
            cells.append(_text(cell, strings))
        if cells:
            rows.append((int(row.get("r", number)), cells))
    return rows


def _part(workbook: ZipFile, name: str) -> ElementTree.Element:
    if workbook.getinfo(name).file_size > _LARGEST_PART:
        raise KeyError(f"{name} unpacks to more than {_LARGEST_PART >> 20} MiB")
    return ElementTree.fromstring(workbook.read(name))


def _all(element: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    """Descendants by local name: writers disagree on the namespace (transitional or strict)."""
    return [found for found in element.iter() if found.tag.rpartition("}")[2] == name]


def _sheet_part(workbook: ZipFile, path: Path, wanted: str | None) -> str:
    sheets = _all(_part(workbook, "xl/workbook.xml"), "sheet")
    names = [sheet.get("name", "") for sheet in sheets]
    if not sheets or (wanted is not None and wanted not in names):
        raise UsageError(f"{path} has no sheet {wanted!r}; it has {names}")
    chosen = sheets[0 if wanted is None else names.index(wanted)]
    identifier = next(value for key, value in chosen.attrib.items() if key.rpartition("}")[2] == "id")
    for relation in _all(_part(workbook, "xl/_rels/workbook.xml.rels"), "Relationship"):
        if relation.get("Id") == identifier:
            target = relation.get("Target", "")
            return target.removeprefix("/") if target.startswith("/") else f"xl/{target}"
    raise KeyError(f"relationship {identifier}")


def _shared_strings(workbook: ZipFile) -> list[str]:
    if "xl/sharedStrings.xml" not in workbook.namelist():
        return []
    items = _all(_part(workbook, "xl/sharedStrings.xml"), "si")
    return ["".join(part.text or "" for part in _all(item, "t")) for item in items]


def _column(reference: str, following: int) -> int:
    """The zero-based column of "AB12"; cells without a reference follow each other."""
    letters = re.match("[A-Z]+", reference)
    if letters is None:
        return following
    column = 0
    for letter in letters.group():
        column = column * 26 + ord(letter) - ord("A") + 1
    return column - 1


def _text(cell: ElementTree.Element, strings: list[str]) -> str:
    kind = cell.get("t")
    if kind == "inlineStr":
        return "".join(part.text or "" for part in _all(cell, "t"))
    value = next((part.text or "" for part in _all(cell, "v")), "")
    return strings[int(value)] if kind == "s" and value else value
