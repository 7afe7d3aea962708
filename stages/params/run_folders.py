"""Parameters of a zoo with a folder per training run: checkpoints of several epochs, hyper-parameters, results."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, NonNegativeInt

from stages.checkpoint_paths import content_of, natural_order
from stages.errors import UsageError
from stages.params.base import below
from stages.params.checkpoints import CheckpointZoo

CHECKPOINT = re.compile(r"checkpoint_(\d+)")
"""Folders of checkpoints, by the epoch after which they were written; Ray Tune pads it with zeros."""
WEIGHTS = "checkpoints"
"""The file in such a folder, a state dict; others hold the optimizer."""
PARAMETERS = ("params.json", "config.json")
"""A run's hyper-parameters, under either name."""
RESULTS = "result.json"
"""A run's results: a line of JSON per epoch."""


@dataclass(frozen=True)
class Run:
    """A training run: its folder, the name of that below the zoo's, and its checkpoint of one epoch."""

    path: Path
    name: str
    epoch: int
    weights: Path

    @property
    def checkpoint(self) -> str:
        """The checkpoint's name below the zoo's folder."""
        return f"{self.name}/{self.weights.parent.name}"

    @property
    def described_by(self) -> list[Path]:
        """The files with its hyper-parameters and results, as far as there are any."""
        parameters = (self.path / name for name in PARAMETERS)
        files = [next((file for file in parameters if file.is_file()), None), self.path / RESULTS]
        return [file for file in files if file is not None and file.is_file()]


class RunFoldersZoo(CheckpointZoo):
    """A zoo with a folder per training run, as Ray Tune writes it and the Model Zoos of St. Gallen are published."""

    source: Literal["run_folders"]
    """Origin of the zoo: `run_folders`, a folder per training run."""
    folder: str = Field(min_length=1)
    """Folder of the unpacked zoo; runs lie in it at any depth, as `<run>/checkpoint_000050/checkpoints` with
    `params.json` or `config.json`, and `result.json`, beside it."""
    epoch: NonNegativeInt | Literal["last"] = "last"
    """Epoch of the checkpoint that stands for a run, or `last`; runs without one of that epoch are left out."""

    def runs(self) -> list[Run]:
        """Every run that has a checkpoint of the epoch, in natural order. Raises UsageError if there is none."""
        checkpoints, root = self.checkpoints(), Path(self.folder).absolute()
        wanted = {path: max(there) if self.epoch == "last" else self.epoch for path, there in checkpoints.items()}
        runs = [
            Run(path, path.relative_to(root).as_posix(), epoch, checkpoints[path][epoch])
            for path, epoch in wanted.items()
            if epoch in checkpoints[path]
        ]
        if not runs:
            path, there = next(iter(checkpoints.items()))
            some = ", ".join(map(str, sorted(there)))
            raise UsageError(f"zoo.epoch: no run has a checkpoint of epoch {self.epoch}; {path.name} has {some}")
        return runs

    def checkpoints(self) -> dict[Path, dict[int, Path]]:
        """Every run's folder, in natural order, with its checkpoints by epoch. Raises UsageError if there is none."""
        root = Path(self.folder).absolute()
        if not root.is_dir():
            raise UsageError(f"zoo.folder: {self.folder}: {_no_folder(root)}")
        every = {path: _checkpoints(path) for path in sorted(_run_folders(root), key=natural_order)}
        if not any(every.values()):
            packed = (
                "; its dataset*.pt are pickled, take the zoo's zip instead" if any(root.glob("dataset*.pt")) else ""
            )
            raise UsageError(f"zoo.folder: no <run>/checkpoint_<epoch>/{WEIGHTS} below {root}{packed}")
        return {path: there for path, there in every.items() if there}

    __hash__ = CheckpointZoo.__hash__

    @property
    def place(self) -> str:
        """The zoo's folder."""
        return f"zoo.folder: {self.folder}"

    def found(self) -> dict[str, Path]:
        """The checkpoints of the epoch by their names, in natural order. Raises UsageError if there is none."""
        return {run.checkpoint: run.weights for run in self.runs()}

    def fingerprint(self) -> dict[str, Any]:
        """The parameters, with the content of all that is read of each run in the place of the folder."""
        described = {run.checkpoint: [content_of(path) for path in run.described_by] for run in self.runs()}
        return {**super().fingerprint(), "folder": described}

    def below(self, folder: Path) -> "RunFoldersZoo":
        """A copy whose folder, if relative, is below another."""
        return super().below(folder).model_copy(update={"folder": below(folder, self.folder)})


def _run_folders(folder: Path) -> Iterator[Path]:
    """Folders that hold checkpoints, at any depth; a fine-tuned run may lie within the run that it started from."""
    with os.scandir(folder) as entries:
        inner = [entry for entry in entries if entry.is_dir()]
    if any(CHECKPOINT.fullmatch(entry.name) for entry in inner):
        yield folder
    for entry in inner:
        if not CHECKPOINT.fullmatch(entry.name):
            yield from _run_folders(Path(entry.path))


def _checkpoints(run: Path) -> dict[int, Path]:
    """A run's files of weights by epoch."""
    folders = {int(match[1]): path for path in run.iterdir() if (match := CHECKPOINT.fullmatch(path.name))}
    return {epoch: path / WEIGHTS for epoch, path in folders.items() if (path / WEIGHTS).is_file()}


def _no_folder(path: Path) -> str:
    if path.suffix == ".zip":
        return f"a packed zoo; unzip it and name its folder, e.g. {path.with_suffix('')}"
    if path.suffix in (".pt", ".pth"):
        return (
            "a pickled data set, refused, as reading it would run code that comes with the file; take the zoo's zip "
            "with a folder per run, unzip it and name its folder"
        )
    return f"no such folder (looked for {path})"
