"""The folder of a training run: what was asked for, where it stands, and its log.

`settings.json` says what was asked for, `state.safetensors` holds network, optimiser, position and log, and
`log.jsonl` has a line an epoch for whoever looks on. Each is written whole or not at all. The state alone
counts: a log that lags behind because its run was killed, or that was damaged, is written anew from it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from dgqa_infer.atomic import write_whole
from dgqa_infer.errors import ModelError, OutputError, UsageError
from dgqa_training.loop.recipe import Recipe
from dgqa_training.networks.checkpoints import read_tensors, write_tensors


@dataclass(slots=True)
class Position:
    """Where a run stands.

    Attributes:
        epoch: epochs that are over.
        step: steps taken of the one that is not.
        loss_sum: of the losses of this epoch's crops so far.
        loss_count: how many crops these were.
        seconds: that this epoch took so far.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class State:
    """All that a run needs to go on.

    Attributes:
        position: where it stands.
        tensors: by name.
        log: a line of each epoch that is over, JSON-able.
    """

    position: Position
    tensors: Mapping[str, Tensor]
    log: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The files of a run.

    Attributes:
        path: the folder; it need not be there.
    """

    path: Path

    @property
    def state_file(self) -> Path:
        """Network, optimiser, position and log."""
        return self.path / "state.safetensors"

    def claim(self, recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
        """Start the folder, or check that it is this run's. Doing it twice does no harm.

        Args:
            recipe: how it is to be trained.
            settings: whatever else must not change between start and resume; JSON-able.

        Returns:
            The recipe that the folder was last used with: its epochs and cooldown may be others.

        Raises:
            UsageError: the folder holds a run with other settings.
            OutputError: it cannot be made.
            ModelError: its settings are damaged, or its state is gone.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise OutputError(f"{self.path} is a file: name a folder for the run") from error
        except OSError as error:
            raise OutputError(f"{self.path} cannot be made: {error.strerror}") from error
        if not self._settings_file.exists():
            self.settle(recipe, settings)
        kept = self._settings()
        try:
            before = Recipe(**kept["recipe"])
        except TypeError as error:
            raise UsageError(f"{self.path} holds a run of another version: {error}") from error
        # How long a run goes on may change until its rate begins to fall; anything else makes it another run.
        kept["recipe"] = asdict(replace(before, epochs=recipe.epochs, cooldown=recipe.cooldown))
        asked = json.loads(_written(recipe, settings))
        for name in sorted({*kept, *asked}):
            if kept.get(name) != asked.get(name):
                raise UsageError(
                    f"{self.path} holds a run with another {name}: {kept.get(name)} there, "
                    f"{asked.get(name)} now; use another folder, or the same settings to resume"
                )
        if self._log_file.exists() and not self.state_file.exists():
            raise ModelError(f"{self.path} has a log but its state.safetensors is gone; remove the folder")
        return before

    def settle(self, recipe: Recipe, settings: Mapping[str, Any]) -> None:
        """Write down what was asked for."""
        write_whole(self._settings_file, _written(recipe, settings), overwrite=True)

    def load(self) -> State | None:
        """What was last saved, the log brought up to it; None where nothing was.

        Raises:
            ModelError: the state is damaged.
        """
        if not self.state_file.exists():
            return None
        tensors, metadata = read_tensors(self.state_file)
        try:
            position, log = Position(**json.loads(metadata["state"])), json.loads(metadata["log"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"{self.state_file} is damaged or of another version ({error}); remove {self.path} to "
                "start anew"
            ) from error
        if log:
            self._write_log(log)
        return State(position, tensors, log)

    def save(self, state: State) -> None:
        """Write a state down, and its log for whoever looks on."""
        metadata = {"state": json.dumps(asdict(state.position)), "log": json.dumps(state.log)}
        write_tensors(self.state_file, state.tensors, metadata)
        # Killed here, the run finds the line in its state when it goes on.
        if state.log and not state.position.step:
            self._write_log(state.log)

    @property
    def _settings_file(self) -> Path:
        return self.path / "settings.json"

    @property
    def _log_file(self) -> Path:
        return self.path / "log.jsonl"

    def _settings(self) -> dict[str, Any]:
        """What was asked for; it has a recipe."""
        try:
            kept = json.loads(self._settings_file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ModelError(
                f"{self._settings_file} is damaged: {error}; remove {self.path} to start anew"
            ) from error
        if not isinstance(kept, dict) or not isinstance(kept.get("recipe"), dict):
            raise ModelError(f"{self._settings_file} has no recipe; remove {self.path} to start anew")
        return kept

    def _write_log(self, log: list[dict[str, Any]]) -> None:
        lines = "".join(json.dumps(line) + "\n" for line in log)
        write_whole(self._log_file, lines.encode(), overwrite=True)


def digest_of_names(files: Iterable[Path]) -> str:
    """A short digest of the names of what is trained on, for a run's settings: 16 hexadecimal digits.

    Args:
        files: in their order; neither their folder nor what is in them counts.
    """
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()[:16]


def _written(recipe: Recipe, settings: Mapping[str, Any]) -> bytes:
    return (json.dumps({"recipe": asdict(recipe), **settings}, indent=2) + "\n").encode()
