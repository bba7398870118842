"""An XMP document with our rating in it, and all else as it was.

Ours is `xmp:Rating`, and beside it, in a namespace of our own, what we gave and why. A rating that differs
from what we gave, or that we never gave, is a person's (or their camera's), and stays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from xml.etree import ElementTree

from dgqa_infer.errors import DgqaError

OURS: Final = "urn:dgqa-infer:xmp:1"
"""Namespace of `Rating`, `Score` and `Model`: what we gave, for which score, by which model."""

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XMP = "http://ns.adobe.com/xap/1.0/"
_META = "adobe:ns:meta/"
_RATING = f"{{{_XMP}}}Rating"
_UNRATED = ("", "0")
_PREFIXES = {_RDF: "rdf", _XMP: "xmp", _META: "x", OURS: "dgqa"}
_EMPTY = (
    f'<x:xmpmeta xmlns:x="{_META}"><rdf:RDF xmlns:rdf="{_RDF}"><rdf:Description rdf:about=""/></rdf:RDF>'
    "</x:xmpmeta>"
)


class XmpError(DgqaError):
    """A document that is not XMP, or not safe to read."""


class Xmp:
    """One document."""

    def __init__(self, data: bytes | None = None) -> None:
        """Read a document.

        Args:
            data: the file; None for a new one.

        Raises:
            XmpError: it is not XMP.
        """
        data = _EMPTY.encode() if data is None else data
        builder = _Builder(insert_comments=True)
        try:
            self._root = ElementTree.fromstring(data, ElementTree.XMLParser(target=builder))
        except ElementTree.ParseError as error:
            raise XmpError(f"it is not XML ({error})") from error
        self._prefixes = builder.prefixes
        self._descriptions = list(self._root.iter(f"{{{_RDF}}}Description"))
        if not self._descriptions:
            raise XmpError("it is not XMP: it has no rdf:Description")

    @property
    def rating(self) -> str | None:
        """What `xmp:Rating` says; None where the photograph is not rated."""
        value = self._value(_RATING)
        return None if value is None or value in _UNRATED else value

    @property
    def is_a_persons(self) -> bool:
        """Whether the rating, or that there is none any more, is a decision that we did not take."""
        given = self._value(f"{{{OURS}}}Rating")
        return self.rating != given

    def rate(self, stars: int, facts: Mapping[str, str]) -> bool:
        """Put in our rating; whether that changed anything.

        Args:
            stars: 1–5, or −1.
            facts: what else to say, in our namespace: names and texts.
        """
        wanted = {_RATING: str(stars), f"{{{OURS}}}Rating": str(stars)}
        wanted |= {f"{{{OURS}}}{name}": value for name, value in facts.items()}
        if all(self._value(name) == value for name, value in wanted.items()):
            return False
        for name, value in wanted.items():
            self._set(name, value)
        return True

    def data(self) -> bytes:
        """The document as a file."""
        for uri, prefix in (_PREFIXES | self._prefixes).items():
            # ElementTree keeps these for itself.
            if prefix and not re.fullmatch(r"ns\d+", prefix):
                ElementTree.register_namespace(prefix, uri)
        return bytes(ElementTree.tostring(self._root, encoding="utf-8", xml_declaration=True)) + b"\n"

    def _value(self, name: str) -> str | None:
        for each in self._descriptions:
            if (attribute := each.get(name)) is not None:
                return attribute.strip()
            if (element := each.find(name)) is not None:
                return (element.text or "").strip()
        return None

    def _set(self, name: str, value: str) -> None:
        for each in self._descriptions:
            if name in each.attrib:
                each.set(name, value)
                return
            if (element := each.find(name)) is not None:
                element.text = value
                return
        self._descriptions[0].set(name, value)


class _Builder(ElementTree.TreeBuilder):
    """Keeps comments and prefixes; takes no document type, which may define entities without end.

    Attributes:
        prefixes: namespace → the prefix that the document has for it.
    """

    def __init__(self, *, insert_comments: bool) -> None:
        super().__init__(insert_comments=insert_comments)
        self.prefixes: dict[str, str] = {}

    def start_ns(self, prefix: str, uri: str) -> None:
        """Called where a namespace begins."""
        self.prefixes.setdefault(uri, prefix)

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:  # noqa: ARG002
        raise XmpError("it has a document type, which XMP has not")
