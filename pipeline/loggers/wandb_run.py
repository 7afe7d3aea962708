"""A run in Weights & Biases: `WANDB_PROJECT`, `WANDB_MODE` and its other settings hold."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wandb

from pipeline.loggers.tracker import PROJECT
from stages.params.flat import Scalar


@dataclass(frozen=True)
class WandbRun:
    """A run of wandb."""

    run: Any  # wandb's classes are typed by neither its modules nor its stubs

    def parameters(self, values: Mapping[str, Scalar]) -> None:
        """As the run's config."""
        self.run.config.update(dict(values), allow_val_change=True)

    def curves(self, rows: Mapping[int, Mapping[str, float]]) -> None:
        """As its history."""
        for step, row in rows.items():
            self.run.log(dict(row), step=step)

    def figures(self, values: Mapping[str, float]) -> None:
        """As its summary."""
        self.run.summary.update(dict(values))

    def files(self, paths: Sequence[Path]) -> None:
        """As one artifact of the type `report`."""
        artifact = wandb.Artifact(f"report-{self.run.id}", type="report")
        for path in paths:
            artifact.add_file(str(path))
        self.run.log_artifact(artifact)

    def finish(self, succeeded: bool) -> None:
        """With an exit code of 1 where the run failed."""
        self.run.finish(exit_code=0 if succeeded else 1)


def open_run(name: str, key: str) -> WandbRun:
    """The run with this key as its id: a new one, or the same told again."""
    settings = wandb.Settings(console="off", silent=True)
    project = os.environ.get("WANDB_PROJECT", PROJECT)
    return WandbRun(wandb.init(project=project, name=name, id=key, resume="allow", settings=settings))
