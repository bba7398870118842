"""Photographs in one small file, for a machine that has nothing but what is sent to it.

A pack is a tar archive of `pristine/NAME` and `authentic/NAME`, and of `pack.json`, which says how it was
made and what was left out. Photographs are shrunk as for scoring and stored as WebP, or as they are where
that is smaller. The same photographs, limit and seed give the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import shutil
import tarfile
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from dgqa_infer.atomic import whole_file
from dgqa_infer.bundle.preprocessing import STANDARD
from dgqa_infer.errors import ImageError, UsageError
from dgqa_infer.images.crops import shrink
from dgqa_infer.images.decode import decode
from dgqa_infer.inputs.finder import photographs_in

LIMIT: Final = 64_000_000
"""Bytes of a pack, by default."""

KINDS: Final = ("pristine", "authentic")
"""Folders of a pack: photographs of high quality, and ordinary ones of any quality that nobody has rated."""

_MANIFEST = "pack.json"
_QUALITY = 95
_LINE = 60  # bytes of a photograph's entry in the manifest, its name apart
_UNPACKED = ".unpacked"


@dataclass(frozen=True, slots=True)
class Photographs:
    """What a representation is trained on.

    Attributes:
        pristine: files of photographs of high quality.
        authentic: files of ordinary photographs, rated by nobody.
    """

    pristine: tuple[Path, ...]
    authentic: tuple[Path, ...]

    @classmethod
    def in_folder(cls, folder: Path) -> Photographs:
        """Those of an opened pack, or of a folder laid out like one.

        Raises:
            UsageError: it has no pristine photographs.
        """
        found = [photographs_in(folder / kind) if (folder / kind).is_dir() else [] for kind in KINDS]
        if not found[0]:
            raise UsageError(f"{folder} holds no folder pristine/ with photographs in it")
        return cls(tuple(found[0]), tuple(found[1]))

    def split(self, kept_back: float) -> tuple[Photographs, Photographs]:
        """Those to train on, and those that are kept back, chosen by their names' hashes.

        Args:
            kept_back: share, 0–1, of each kind; at least one of each kind that is there.

        Raises:
            UsageError: too few are left to train on.
        """
        kept = [set(_by_hash(paths)[: _share(paths, kept_back)]) for paths in (self.pristine, self.authentic)]
        trained = [
            tuple(path for path in paths if path not in back)
            for paths, back in zip((self.pristine, self.authentic), kept, strict=True)
        ]
        if not trained[0]:
            raise UsageError("a single pristine photograph cannot be both trained on and kept back")
        return Photographs(*trained), Photographs(*(tuple(sorted(back)) for back in kept))


def write_pack(
    file: Path,
    sources: Mapping[str, Path],
    *,
    limit: int = LIMIT,
    seed: int = 123,
    overwrite: bool = False,
    observe: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Pack photographs: pristine ones first, then authentic ones as far as there is room.

    Args:
        file: the pack to be.
        sources: folder of each kind of `KINDS`; "authentic" may be missing.
        limit: bytes that the file may have.
        seed: of the order in which photographs are taken, which decides what is left out.
        overwrite: replace a file that is there.
        observe: called with the name of each photograph that was looked at.

    Returns:
        What `pack.json` holds: how it was made, how many photographs of each kind, what was left out and why.

    Raises:
        UsageError: there are no photographs, or not even one fits.
        OutputError: the file cannot be written.
    """
    found = {kind: photographs_in(sources[kind]) for kind in KINDS if kind in sources}
    members: dict[str, bytes] = {}
    left_out: dict[str, str] = {}
    # Room for the manifest is kept as if all were left out.
    room = limit - tarfile.RECORDSIZE - 4 * tarfile.BLOCKSIZE
    room -= sum(len(_json(path.name)) + _LINE for paths in found.values() for path in paths)
    for kind, paths in found.items():
        taken = {path.name for path in paths}
        for index in np.random.default_rng(seed).permutation(len(paths)):
            path = paths[index]
            observe(path.name)
            try:
                name, data = _compact(path, taken)
            except ImageError as error:
                left_out[f"{kind}/{path.name}"] = error.code
                continue
            if (size := _stored(f"{kind}/{name}", data)) > room:
                left_out[f"{kind}/{path.name}"] = "no room"
                continue
            room -= size
            taken.add(name)
            members[f"{kind}/{name}"] = data
    if not any(name.startswith(KINDS[0]) for name in members):
        raise UsageError(f"no pristine photograph fits in a pack of {limit:,} bytes")
    counts = {kind: sum(name.startswith(f"{kind}/") for name in members) for kind in KINDS}
    facts: dict[str, Any] = {"seed": seed, "limit": limit, "short_side": STANDARD.short_side, **counts}
    facts["left_out"] = dict(sorted(left_out.items()))
    members[_MANIFEST] = _json(facts)
    with whole_file(file, overwrite=overwrite) as stream:
        stream.write(_archive(members))
    return facts


def open_pack(pack: Path, folder: Path) -> Photographs:
    """Unpack into a folder, unless that was done before; a folder laid out like a pack is taken as it is.

    Args:
        pack: what `write_pack` wrote, or such a folder.
        folder: to unpack into; what another pack has left in its folders pristine/ and authentic/ is removed.

    Raises:
        UsageError: it is no pack.
    """
    if pack.is_dir():
        return Photographs.in_folder(pack)
    try:
        sha256 = hashlib.sha256(pack.read_bytes()).hexdigest()
        done = folder / _UNPACKED
        if not (done.is_file() and done.read_text("utf-8") == sha256):
            with tarfile.open(pack) as archive:
                _make_room(folder)
                archive.extractall(folder, filter="data")
            done.write_text(sha256, encoding="utf-8")
    except (OSError, tarfile.TarError) as error:
        raise UsageError(f"{pack} is no pack of photographs: {error}") from error
    return Photographs.in_folder(folder)


def _make_room(folder: Path) -> None:
    """Remove what another pack has left: the photographs of both would be trained on."""
    (folder / _UNPACKED).unlink(missing_ok=True)  # first, for it says that all of a pack is there
    for kind in KINDS:
        if (folder / kind).exists():
            shutil.rmtree(folder / kind)


def _json(value: Any) -> bytes:
    """JSON in UTF-8; what is no character in a file's name is escaped."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace")


def _compact(path: Path, taken: Container[str]) -> tuple[str, bytes]:
    """A photograph's name and bytes in the pack; a new name is none of those that are taken."""
    whole = decode(path).pixels
    small = shrink(whole, STANDARD)
    stream = io.BytesIO()
    Image.fromarray(small).save(stream, "WEBP", quality=_QUALITY)
    data = stream.getvalue()
    if small.shape == whole.shape and path.stat().st_size <= len(data):
        return path.name, path.read_bytes()
    if path.suffix == ".webp":
        return path.name, data
    name = f"{path.name}.webp"
    for number in itertools.count(1):
        if name not in taken:
            break
        name = f"{path.name}.{number}.webp"
    return name, data


def _stored(name: str, data: bytes) -> int:
    """Bytes that a member takes in the archive, its header included."""
    header = tarfile.TarInfo(name).tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    return len(header) + -(-len(data) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def _archive(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in sorted(members.items()):
            member = tarfile.TarInfo(name)  # no owner, no time: the same bytes whoever packs them
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def _by_hash(paths: Sequence[Path]) -> list[Path]:
    def key(path: Path) -> bytes:
        return hashlib.sha256(path.name.encode("utf-8", "surrogateescape")).digest()

    return sorted(paths, key=key)


def _share(paths: Sequence[Path], kept_back: float) -> int:
    return max(1, round(kept_back * len(paths))) if paths else 0
