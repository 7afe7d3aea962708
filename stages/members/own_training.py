"""Members trained by a function of the user's own, one after the other."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from stages.context import Context
from stages.datasets import Train, Validation
from stages.errors import DwfError, LayoutMismatch, UsageError
from stages.factories import Factory, explained, imported
from stages.members.draws import Seeds
from stages.nets.initialise import initialise
from stages.nets.registry import assign
from stages.params.zoo import RecipeFactory, ZooParams
from stages.seeds import all_seeded, seed_of
from stages.store.layout import Layout


@dataclass(frozen=True)
class FittingData:
    """What a function may train a member on and choose a checkpoint by; test examples are none of it."""

    train: Train
    validation: Validation


def train_members(
    module: nn.Module,
    params: ZooParams,
    recipe: RecipeFactory,
    members: np.ndarray,
    attempt: int,
    data: tuple[Train, Validation],
    ctx: Context,
) -> Tensor:
    """Rows of members of these numbers, each from its own initialisation and seed, and of nothing else.

    Raises UsageError if there is no such function or it returns no state dict, LayoutMismatch naming a tensor that
    isn't the module's, and DwfError for whatever the function raises.
    """
    train, seeds, rows = imported(recipe.train, "zoo.recipe.train"), Seeds(params.seed, attempt), []
    for done, member in enumerate(members.tolist()):
        ctx.progress(done / len(members), f"member {member}")
        own = copy.deepcopy(module)
        assign(own, initialise(params.network, params.initialisation(member), seeds.draw("member", member)))
        where = f"zoo.recipe.train {recipe.train}: member-{member:05d}"
        state = _trained(train, recipe, own.to(ctx.device).train(), data, seeds.of("own training", member), where, ctx)
        rows.append(_row(Layout.of_module(module), module, state, where).to(ctx.device))
    return torch.stack(rows)


def _trained(
    train: Factory,
    recipe: RecipeFactory,
    module: nn.Module,
    data: tuple[Train, Validation],
    seed: tuple[int | str, ...],
    where: str,
    ctx: Context,
) -> object:
    """What the function returns; global random draws depend on the seed alone, and data are copies."""
    fitted, validation = ((part.inputs.to(ctx.device).clone(), part.targets.to(ctx.device).clone()) for part in data)
    own = FittingData(Train(*fitted), Validation(*validation))
    try:
        with all_seeded(*seed), torch.enable_grad():
            return train(module, own, seed_of(*seed) % 2**32, ctx.device, **recipe.kwargs)
    except Exception as error:  # whatever the user's function raises
        raise DwfError(f"{where}: {explained(error)}; mend it (--debug shows the place), then run again") from error


def _row(layout: Layout, module: nn.Module, state: object, where: str) -> Tensor:
    """A state dict as a row, in float32."""
    if not isinstance(state, Mapping):
        raise UsageError(f"{where}: returns a {type(state).__name__}, expected a state dict, e.g. module.state_dict()")
    counters = module.state_dict().keys() - {slot.name for slot in layout.slots}  # and further names of tied weights
    try:
        return layout.flatten({n: t.detach().cpu() for n, t in state.items() if n not in counters})
    except LayoutMismatch as error:
        raise LayoutMismatch(f"{where}: {error}") from error
