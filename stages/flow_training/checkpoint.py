"""The state of a fit, and the checkpoint that holds all of it."""

import csv
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from stages.store.files import replacing

Tensors = tuple[Tensor, ...] | list[Tensor]
COLUMNS = ("step", "loss", "heldout_loss", "dispersion")


@dataclass
class TrainState:
    """The velocity network, its averaged weights, its optimizers, the step, and what was measured so far.

    `curves` has a row of COLUMNS per check; `samples` a row per evaluation of samples; `best` are the averaged weights
    of the lowest held-out loss.
    """

    model: nn.Module
    average: AveragedModel
    optimizers: tuple[torch.optim.Optimizer, ...]
    step: int = 0
    curves: list[list[float]] = field(default_factory=list)
    samples: list[list[float]] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write a checkpoint whole or not at all."""
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "step": self.step,
            "best": self.best,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "curves": self.curves,
            "samples": self.samples,
        }
        with replacing(path) as partial:
            torch.save(state, partial)

    def load(self, path: Path, device: torch.device) -> None:
        """Go on where a checkpoint was written."""
        state = torch.load(path, map_location=device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.step, self.best = state["step"], state["best"]
        self.curves, self.samples = state["curves"], state["samples"]

    def weights(self) -> dict[str, Tensor]:
        """The averaged weights."""
        return {name: tensor.clone() for name, tensor in self.average.module.state_dict().items()}

    def stalled(self, patience: int | None) -> bool:
        """Whether the held-out loss was lowest at least `patience` checks ago."""
        heldout = [row[2] for row in self.curves]
        return patience is not None and len(heldout) - 1 - heldout.index(min(heldout)) >= patience if heldout else False

    def summary(self) -> dict[str, float]:
        """The last check, and the lowest held-out loss."""
        lowest = min(self.curves, key=lambda row: row[2])
        last = dict(zip(COLUMNS, self.curves[-1], strict=True))
        return {**last, "lowest_heldout_loss": lowest[2], "lowest_heldout_step": lowest[0]}


def is_whole(path: Path) -> bool:
    """Whether a checkpoint is there and as it was written; torch compares no checksums when it reads one."""
    try:
        with ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, BadZipFile, ValueError, NotImplementedError, EOFError):
        return False


def moving_average(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """An exponential moving average of weights; its decay rises to `decay`, so that the first weights soon fade."""

    def update(averaged: Tensors, current: Tensors, count: Tensor | int) -> None:
        torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + int(count)) / (10 + int(count))))

    return update


def write_table(path: Path, columns: tuple[str, ...], rows: list[list[float]]) -> None:
    """A CSV file with these columns."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
