"""A model on disk: a folder with `model.onnx`, perhaps `domains.onnx` and `model-int8.onnx`, and `card.json`
that vouches for all.

What is loaded into a runtime is exactly the bytes whose hash was checked, never a path.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path

from dgqa_infer import system
from dgqa_infer.atomic import write_folder
from dgqa_infer.bundle import onnx_file
from dgqa_infer.bundle.card import (
    DOMAIN_GRAPH,
    INT8_GRAPH,
    QUALITY_GRAPH,
    Calibration,
    Card,
    Domains,
    FileRecord,
)
from dgqa_infer.bundle.graph_memory import GraphMemory, graph_memory
from dgqa_infer.errors import ModelError, OutputError

__all__ = [
    "DOMAIN_GRAPH",
    "INT8_GRAPH",
    "QUALITY_GRAPH",
    "Bundle",
    "Calibration",
    "Card",
    "Domains",
    "FileRecord",
    "built_in",
    "refuse_strangers",
    "write_bundle",
]

_MODELS = Path(__file__).parent.parent / "models"
_CARD = "card.json"
_FILES = (_CARD, QUALITY_GRAPH, INT8_GRAPH, DOMAIN_GRAPH)
_MOST_DIGITS = 20
_MAX_CARD_BYTES = 4_000_000

MAX_GRAPH_BYTES = 2**31 - 1
"""Protocol buffers cannot be larger."""


def built_in() -> tuple[str, ...]:
    """Names of the bundles that come with the package, sorted."""
    return tuple(sorted(path.parent.name for path in _MODELS.glob(f"*/{_CARD}")))


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified model on disk.

    Attributes:
        path: its folder.
        card: what it is and how it is used.
        quality_file: that holds "model.onnx" as the card means it: another file where the bundle is used in
            int8.
    """

    path: Path
    card: Card
    quality_file: str = QUALITY_GRAPH

    @classmethod
    def load(cls, name_or_path: str | os.PathLike[str]) -> Bundle:
        """Open a bundle and verify all of it: card, hashes, and that the graphs are what the card says.

        Args:
            name_or_path: name of a built-in bundle, or a bundle's folder. A path has a separator or exists.

        Raises:
            ModelError: there is no such bundle, or it is damaged or does not fit; says how.
        """
        folder = _find(name_or_path)
        try:
            text = _read(folder / _CARD, _MAX_CARD_BYTES)
        except OSError as error:
            raise ModelError(
                f"{folder} is no bundle: its {_CARD} cannot be read ({error.strerror})"
            ) from error
        try:
            if len(text) > _MAX_CARD_BYTES:
                raise ModelError(f"the card is longer than {_MAX_CARD_BYTES} bytes")
            bundle = cls(folder, Card.from_json(json.loads(text, parse_int=_whole_number)))
            for graph in bundle.card.files:
                bundle.graph_bytes(graph)
        except (ValueError, RecursionError) as error:
            raise ModelError(f"bundle {folder}: {_CARD} is not JSON ({error})") from error
        except ModelError as error:
            raise ModelError(f"bundle {folder}: {error}") from error
        return bundle

    @property
    def model_id(self) -> str:
        """Name and start of the quality graph's hash, such as "dgqa-lite0@1f3a9c0e".

        With "+scaled" where JPEGs are decoded at a part of their size though the card does not say so, and
        "+nvjpeg" where on a GPU: such scores are not quite the same.
        """
        return f"{self.card.name}@{self.card.files[QUALITY_GRAPH].sha256[:8]}{self.card.preprocessing.suffix}"

    @property
    def has_int8(self) -> bool:
        """Whether there is a graph in int8 beside the one in fp32."""
        return INT8_GRAPH in self.card.files

    def in_int8(self) -> Bundle:
        """The same model with its int8 graph, under a name of its own: "dgqa-lite0-int8".

        Raises:
            ModelError: it has none.
        """
        if not self.has_int8:
            raise ModelError(
                f"{self.card.name} has no int8 graph: make one with `dgqa-infer export --int8 --photos DIR`"
            )
        files = {name: record for name, record in self.card.files.items() if name != INT8_GRAPH}
        files[QUALITY_GRAPH] = self.card.files[INT8_GRAPH]
        card = replace(self.card, name=f"{self.card.name}-int8", precision="int8", files=files)
        return replace(self, card=card, quality_file=INT8_GRAPH)

    def with_scaled_decoding(self) -> Bundle:
        """The same model for photographs that are decoded faster, under a preprocessing id of its own."""
        return replace(self, card=replace(self.card, preprocessing=self.card.preprocessing.scaled()))

    def with_gpu_decoding(self) -> Bundle:
        """The same model for photographs that a GPU decodes, under a preprocessing id of its own."""
        return replace(self, card=replace(self.card, preprocessing=self.card.preprocessing.on_gpu()))

    def graph_bytes(self, name: str) -> bytes:
        """The bytes of one graph, checked against the card.

        Args:
            name: one of the card's files.

        Raises:
            ModelError: the bundle has no such graph, or its bytes are not those that the card vouches for.
        """
        if (record := self.card.files.get(name)) is None:
            raise ModelError(f"{self.card.name} has no {name}")
        if record.bytes > MAX_GRAPH_BYTES:
            raise ModelError(f"{name} has {record.bytes} bytes, which no ONNX file can have")
        try:
            file = self.path / (self.quality_file if name == QUALITY_GRAPH else name)
            data = _read(file, record.bytes)
        except OSError as error:
            raise ModelError(f"{name} cannot be read ({error.strerror})") from error
        if len(data) != record.bytes:
            size = file.stat().st_size
            raise ModelError(f"{name} has {size} bytes, its card says {record.bytes}")
        if (found := hashlib.sha256(data).hexdigest()) != record.sha256:
            raise ModelError(f"{name} has the sha256 {found[:12]}…, its card says {record.sha256[:12]}…")
        _check_graph(data, found, name, self.card)
        return data

    def graph_memory(self, name: str) -> GraphMemory:
        """What one of the graphs needs of memory.

        Args:
            name: one of the card's files.

        Raises:
            ModelError: as `graph_bytes`.
        """
        record = self.card.files.get(name)
        if record is not None and (facts := _KNOWN.get(record.sha256)) is not None:
            return facts.memory
        return _facts(self.graph_bytes(name), self.card.files[name].sha256).memory


def _read(path: Path, most: int) -> bytes:
    """A file's bytes, and at most one more than so many.

    Raises:
        OSError: it cannot be read, or is no file: a pipe would be waited for, for ever.
    """
    with FileIO(system.open_to_read(str(path))) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no file")
        parts = []
        while most >= 0 and (part := file.read(most + 1)):
            parts.append(part)
            most -= len(part)
    return b"".join(parts)


def _whole_number(text: str) -> int:
    """A whole number of JSON; none that a computer's numbers do not hold."""
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a number has {len(text)} digits")
    return int(text)


def write_bundle(folder: str | os.PathLike[str], graphs: Mapping[str, bytes], card: Card) -> Bundle:
    """Write a bundle, whole or not at all. A bundle that is already there is replaced.

    Args:
        folder: where; its parent must exist.
        graphs: the bytes of "model.onnx", of "model-int8.onnx" if there is one, and, where the card has
            domains, of "domains.onnx".
        card: its `files` are computed here, whatever they hold.

    Returns:
        The bundle, verified as `Bundle.load` does.

    Raises:
        ModelError: card and graphs do not fit.
        OutputError: the folder cannot be written, or holds something that is no bundle.
    """
    folder = Path(folder)
    records = {name: FileRecord(hashlib.sha256(data).hexdigest(), len(data)) for name, data in graphs.items()}
    # Through JSON and back: what is written is what can be read.
    card = Card.from_json(json.loads(json.dumps(replace(card, files=records).as_json(), allow_nan=False)))
    for name, data in graphs.items():
        _check_graph(data, records[name].sha256, name, card)
    refuse_strangers(folder)
    write_folder(folder, {**graphs, _CARD: json.dumps(card.as_json(), indent=2).encode() + b"\n"})
    return Bundle.load(folder.absolute())


def refuse_strangers(folder: Path) -> None:
    """Refuse a place that a bundle cannot take: it takes the whole folder's, so nothing else may be in it.

    Raises:
        OutputError: it is no folder, or holds something else, such as another bundle.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is no folder; it is left alone")
    if not folder.exists() or not (names := sorted(path.name for path in folder.iterdir())):
        return
    if _CARD not in names:
        raise OutputError(f"{folder} holds something that is no bundle; it is left alone")
    # Names with a dot are what a file manager leaves behind.
    strangers = [name for name in names if name not in _FILES and not name.startswith(".")]
    if strangers:
        raise OutputError(f"{folder} holds more than a bundle, {strangers[0]}; it is left alone")


def _find(name_or_path: str | os.PathLike[str]) -> Path:
    text = os.fspath(name_or_path)
    if text in built_in():
        return _MODELS / text
    folder = Path(text)
    if folder.is_dir():
        return folder
    known = ", ".join(built_in()) or "none"
    raise ModelError(f"no model {text!r}: neither a folder nor a built-in one (built in: {known})")


@dataclass(frozen=True, slots=True)
class _Facts:
    """What matters of a graph that is safe to load."""

    inputs: tuple[onnx_file.Port, ...]
    outputs: tuple[onnx_file.Port, ...]
    memory: GraphMemory


# By the graph's sha256: reading one takes longer than all else that is checked, and it is asked for often.
_KNOWN: dict[str, _Facts] = {}


def _facts(data: bytes, sha256: str) -> _Facts:
    """Check what a graph is by itself; `sha256` is that of its bytes, verified."""
    if (facts := _KNOWN.get(sha256)) is None:
        graph = onnx_file.read(data)
        memory = graph_memory(graph)
        memory.refuse_large()
        facts = _KNOWN[sha256] = _Facts(graph.inputs, graph.outputs, memory)
    return facts


def _check_graph(data: bytes, sha256: str, name: str, card: Card) -> None:
    graph = _facts(data, sha256)
    crop = card.preprocessing.crop
    if name in (QUALITY_GRAPH, INT8_GRAPH):
        outputs: dict[str, tuple[int | None, ...]] = {"quality": (None,), "quality_map": (None, None, None)}
    else:
        outputs = {"domain_logits": (None, len(card.domains.classes) if card.domains else None)}
    _check_ports(name, "input", graph.inputs, {"crops": (None, crop, crop, 3)}, onnx_file.UINT8)
    _check_ports(name, "output", graph.outputs, outputs, onnx_file.FLOAT32)


def _check_ports(
    graph: str,
    kind: str,
    ports: Sequence[onnx_file.Port],
    wanted: Mapping[str, tuple[int | None, ...]],
    element: int,
) -> None:
    if (names := {port.name for port in ports}) != set(wanted):
        raise ModelError(f"{graph} has the {kind}s {sorted(names)}, not {sorted(wanted)}")
    for port in ports:
        if port.element != element:
            word = {onnx_file.UINT8: "uint8", onnx_file.FLOAT32: "float32"}[element]
            raise ModelError(f"{graph}: {kind} {port.name} has element type {port.element}, not {word}")
        # A runtime would take any shape where none is given; inputs must say theirs.
        shape = wanted[port.name]
        if port.shape is None:
            fits = kind == "output"
        else:
            fits = len(port.shape) == len(shape) and all(
                want is None or have == want or (kind == "output" and not isinstance(have, int))
                for have, want in zip(port.shape, shape, strict=True)
            )
            fits = fits and not isinstance(port.shape[0], int)
        if not fits:
            said = list(port.shape) if port.shape is not None else "none"
            expected = ["batch", *("any" if size is None else size for size in shape[1:])]
            raise ModelError(f"{graph}: {kind} {port.name} has the shape {said}, not {expected}")
