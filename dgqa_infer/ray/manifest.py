"""What a destination holds: which model wrote its rows, and how. Rows of two ways are never mixed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.errors import OutputError, UsageError
from dgqa_infer.inputs.addresses import shown
from dgqa_infer.inputs.finder import InputFinder
from dgqa_infer.ray.destination import Destination
from dgqa_infer.ray.settings import Settings

_OURS = "_dgqa"
_MANIFEST = f"{_OURS}/run.json"
_FORMAT = 1
# What each entry is called when it differs.
_INSTEAD = {"model": ", or pass the --model and the --precision of then"}
_WORDS = {
    "format": "layout of the folder",
    "rows": "format of the rows",
    "model": "model",
    "graphs": "graphs of the model",
    "preprocessing": "preprocessing",
    "explain": "--explain",
    "strict": "--strict",
    "limits": "limits of what is decoded",
    "sources": "photographs named",
    "selection": "choice of files",
}


def manifest(
    bundle: Bundle, settings: Settings, format: str, sources: Sequence[str], selection: InputFinder
) -> dict[str, Any]:
    """All that decides what the rows are.

    Args:
        bundle: as it scores: with scaled decoding, if that is asked for.
        settings: of the actors.
        format: of the rows.
        sources: what was named; credentials and signatures are left out.
        selection: which files in folders are scored.
    """
    options, limits = settings.options, settings.options.limits
    return {
        "format": _FORMAT,
        "rows": format,
        "model": bundle.model_id,
        "graphs": {name: record.sha256 for name, record in sorted(bundle.card.files.items())},
        "preprocessing": bundle.card.preprocessing.as_card(),
        "explain": options.explain,
        "strict": options.strict,
        "limits": [limits.file_bytes, limits.pixels, limits.side, limits.profile_bytes],
        "sources": [*map(shown, sources)],
        "selection": [
            *(list(selection.include), list(selection.exclude), selection.recursive),
            *([True] if selection.follow_links else []),
        ],
    }


def claim(destination: Destination, wanted: dict[str, Any], *, resume: bool) -> bool:
    """Take a destination for a run, or find that it is this run's already.

    Args:
        destination: a folder that is empty or not there, or that of an earlier run.
        wanted: the manifest of this run.
        resume: whether an earlier run may be continued.

    Returns:
        Whether there is an earlier run to continue.

    Raises:
        UsageError: it holds something else, or rows that these would not fit to.
        OutputError: it cannot be read or written.
    """
    data = destination.read(_MANIFEST)
    if data is None:
        if found := [name for name in destination.names() if name != _OURS]:
            raise UsageError(
                f"{destination.shown} is not empty ({found[0]}) and no output of a run on a cluster:"
                " name a folder that is empty or not there"
            )
        destination.write(_MANIFEST, json.dumps(wanted, indent=1).encode())
        return False
    if not resume:
        raise UsageError(
            f"{destination.shown} holds the rows of an earlier run: continue it with --resume,"
            " or name another"
        )
    try:
        have = dict(json.loads(data))
    except (ValueError, TypeError) as error:
        raise OutputError(f"{destination.shown}/{_MANIFEST} is damaged ({error})") from error
    for name, word in _WORDS.items():
        if have.get(name) != json.loads(json.dumps(wanted[name])):
            raise UsageError(
                f"{destination.shown} was begun with another {word}"
                f" ({_short(have.get(name))}, now {_short(wanted[name])}): its rows are not mixed with"
                f" these; name another destination{_INSTEAD.get(name, '')}"
            )
    return True


def release(destination: Destination) -> None:
    """Give up a destination that was claimed for nothing."""
    destination.remove(_MANIFEST)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
