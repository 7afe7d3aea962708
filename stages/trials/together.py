"""All trials that an evaluation asks for."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from stages.artifacts.complete import Completion
from stages.context import Context
from stages.datasets import Test, Train
from stages.errors import UsageError
from stages.params.dataset import Dataset
from stages.params.trials import FineTune, Transfer
from stages.params.zoo import Recipe
from stages.seeds import seed_of
from stages.store.refs import Ref
from stages.training.draws import Seeds
from stages.trials.course import Course, Starts
from stages.trials.finetune import finetuning
from stages.trials.recipe import recipe_for
from stages.trials.transfer import transfer


@dataclass(frozen=True)
class Trials:
    """What the trials of one evaluation share; `load` gives a data set's training and test examples.

    `dataset` is the zoo's own, None where it has none. `seed` is the evaluation's.
    """

    zoo: Ref
    complete: Completion
    dataset: Dataset | None
    load: Callable[[Dataset], tuple[Train, Test]]
    seed: int
    ctx: Context

    def finetuning(self, params: FineTune | None, starts: Starts) -> dict[str, Any]:
        """`{"finetuning": ...}` for figures.json; empty if none is asked for."""
        if params is None:
            return {}
        self._check("finetune")
        course = self._course("finetune", params.recipe)
        return {"finetuning": finetuning(params, starts, course, self._folder("finetune"))}

    def transfer(self, params: tuple[Transfer, ...], starts: Starts) -> dict[str, Any]:
        """`{"transfer": [...]}`, one entry per other data set; empty if none is asked for."""
        if not params:
            return {}
        self._check("transfer")
        return {"transfer": [self._transfer(i, one, starts) for i, one in enumerate(params)]}

    def _transfer(self, index: int, params: Transfer, starts: Starts) -> dict[str, Any]:
        course = self._course(f"transfer {params.dataset.name}", params.recipe)
        return transfer(params, starts, course, *self.load(params.dataset), self._folder(f"transfer-{index}"))

    def _check(self, section: str) -> None:
        if self.dataset is None:
            raise UsageError(f"evaluate.{section}: nothing to train on, zoo.dataset is null; leave the section out")

    @cached_property
    def _home(self) -> tuple[Train, Test]:
        assert self.dataset is not None
        return self.load(self.dataset)

    def _course(self, name: str, recipe: Recipe | None) -> Course:
        how = recipe_for(recipe, self.zoo, f"evaluate.{name.split()[0]}")
        ctx = replace(self.ctx, progress=partial(self._told, name))
        return Course(self.complete, *self._home, how, Seeds(seed_of(self.seed, name)), ctx)

    def _told(self, name: str, share: float, note: str) -> None:
        self.ctx.progress(share, f"{name}: {note}")

    def _folder(self, name: str) -> Path:
        folder = self.ctx.out / "sets" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder
