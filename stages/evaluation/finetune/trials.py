"""All trials that an evaluation asks for."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

from stages.context import Context
from stages.datasets import Test, Train
from stages.errors import UsageError
from stages.evaluation.finetune.gap import finetuning
from stages.evaluation.finetune.recipe import recipe_for
from stages.evaluation.finetune.run import Course, Keep, Starts, remembered
from stages.evaluation.finetune.starts import starts
from stages.evaluation.finetune.transfer import transfer
from stages.evaluation.inputs import Material
from stages.members.draws import Seeds
from stages.params.dataset import Dataset, dataset_from
from stages.params.finetune import FineTune, Transfer
from stages.params.zoo import Recipe
from stages.sampling.completion import Completion
from stages.seeds import seed_of
from stages.store.refs import Ref

Load = Callable[[Dataset], tuple[Train, Test]]


def trials(zoo: Ref, material: Material, load: Load) -> dict[str, Any]:
    """What figures.json says of the trials that an evaluation asks for: `finetuning`, `transfer`, both or nothing.

    Raises UsageError where the zoo or the data don't allow one.
    """
    params, described = material.params, material.packed.attrs["dataset"]
    dataset = dataset_from(described) if described else None
    asked = Trials(zoo, material.completion, dataset, load, params.seed, material.ctx)
    home = starts(material, params.finetune.soup_size if params.finetune else None)
    return asked.finetuning(params.finetune, home) | asked.transfer(params.transfer, starts(material))


@dataclass(frozen=True)
class Trials:
    """What the trials of one evaluation share; `load` gives a data set's training and test examples.

    `dataset` is the zoo's own, None where it has none. `seed` is the evaluation's.
    """

    zoo: Ref
    complete: Completion
    dataset: Dataset | None
    load: Load
    seed: int
    ctx: Context

    def finetuning(self, params: FineTune | None, starts: Starts) -> dict[str, Any]:
        """`{"finetuning": ...}` for figures.json; empty if none is asked for."""
        if params is None:
            return {}
        self._check("finetune")
        course = self._course("finetune", params.recipe)
        return {"finetuning": finetuning(params, starts, course, self._keep("finetune"))}

    def transfer(self, params: tuple[Transfer, ...], starts: Starts) -> dict[str, Any]:
        """`{"transfer": [...]}`, one entry per other data set; empty if none is asked for."""
        if not params:
            return {}
        self._check("transfer")
        return {"transfer": [self._transfer(i, one, starts) for i, one in enumerate(params)]}

    def _transfer(self, index: int, params: Transfer, starts: Starts) -> dict[str, Any]:
        course = self._course(f"transfer {params.dataset.name}", params.recipe)
        return transfer(params, starts, course, *self.load(params.dataset), self._keep(f"transfer-{index}"))

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

    def _keep(self, trial: str) -> Keep:
        folder = self.ctx.out / "sets"
        folder.mkdir(exist_ok=True)
        return partial(remembered, folder, trial)
