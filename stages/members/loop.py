"""The training loop: networks as one stack, or one after the other, each with draws of its own."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from math import ceil

import numpy as np
import torch
from torch import Tensor, nn

from stages.context import Context
from stages.datasets import Train
from stages.members.augment import augment
from stages.members.draws import Seeds, orders
from stages.members.optimizer import clip, optimizer_for, set_rate
from stages.members.task import loss
from stages.nets.initialise import initialise
from stages.nets.normalisation import normalisers
from stages.nets.stacked import forward, stackable
from stages.params.zoo import Recipe, ZooParams
from stages.progress import ProgressReporter, part_of
from stages.seeds import global_seed
from stages.store.layout import Layout


def train_members(
    module: nn.Module, params: ZooParams, members: np.ndarray, attempt: int, data: Train, ctx: Context
) -> Tensor:
    """Train members of these numbers, each from its own initialisation and in its own data order.

    Returns their rows, parameters then buffers. A member's row depends on its neighbours by round-off alone.
    """
    seeds, steps = Seeds(params.seed, attempt), params.recipe.epochs * steps_per_epoch(params.recipe, data)
    fresh = partial(_fresh, module, params, seeds)
    trained = _train(module, params.recipe, seeds, members, fresh, (steps,), data, ctx)
    return torch.cat([rows for (rows,) in trained])


def train_from(
    module: nn.Module, rows: Tensor, recipe: Recipe, seeds: Seeds, stops: Sequence[int], data: Train, ctx: Context
) -> Iterator[Tensor]:
    """Train networks on from where they are, network i in member i's data order, whatever the recipe's epochs.

    `rows` [networks, parameters] are complete: parameters, then buffers. Yields rows [stops, networks, parameters] after
    each of so many steps, which rise, for all networks at once or, where they aren't stacked, for one after the other.
    """
    yield from _train(module, recipe, seeds, np.arange(len(rows)), lambda stack: rows[stack], stops, data, ctx)


def steps_per_epoch(recipe: Recipe, data: Train) -> int:
    """Batches of an epoch, the last one perhaps incomplete."""
    return ceil(len(data.inputs) / recipe.batch)


def _train(
    module: nn.Module,
    recipe: Recipe,
    seeds: Seeds,
    members: np.ndarray,
    start: Callable[[np.ndarray], Tensor],
    stops: Sequence[int],
    data: Train,
    ctx: Context,
) -> Iterator[Tensor]:
    """Rows [stops, members, parameters] of every stack, begun with the rows that `start` gives for its members."""
    data = Train(data.inputs.to(ctx.device), data.targets.to(ctx.device))
    module.to(ctx.device)
    stacks = [members] if stackable(module) else np.split(members, len(members))
    for i, stack in enumerate(stacks):
        reporter = ProgressReporter(_names(stack), part_of(ctx.progress, i, len(stacks)))
        yield _Run(module, recipe, seeds, stack, data).rows_after(stops, start(stack), reporter)


def _names(members: np.ndarray) -> str:
    first, last = members[0], members[-1]
    return f"members {first}-{last}" if last > first else f"member {first}"


def _fresh(module: nn.Module, params: ZooParams, seeds: Seeds, members: np.ndarray) -> Tensor:
    """Rows of members as they begin."""
    numbers, layout = members.tolist(), Layout.of_module(module)
    begun = (initialise(params.network, params.initialisation(i), seeds.draw("member", i)) for i in numbers)
    return torch.stack([layout.flatten(state) for state in begun])


@dataclass(frozen=True)
class _Run:
    """One stack of members, of one member where networks aren't stacked."""

    module: nn.Module
    recipe: Recipe
    seeds: Seeds
    members: np.ndarray
    data: Train

    def rows_after(self, stops: Sequence[int], start: Tensor, reporter: ProgressReporter) -> Tensor:
        """Train from these rows through the last of the stops. Returns rows [stops, members, parameters]."""
        recipe, layout = self.recipe, Layout.of_module(self.module)
        stacked = self._begun(layout, start.to(self._device))
        weights = [stacked[slot.name].requires_grad_() for slot in layout.drawn.slots]
        optimizer, step, steps = optimizer_for(recipe, weights), 0, stops[-1]
        found = [start.to(self._device)] if 0 in stops else []
        for epoch in range(ceil(steps / steps_per_epoch(recipe, self.data))):
            with self._dropout(epoch):
                for inputs, targets in islice(self._batches(epoch), steps - step):
                    set_rate(optimizer, recipe, step, steps)
                    error = loss(forward(self.module, stacked, inputs, shared=False), targets, recipe.label_smoothing)
                    optimizer.zero_grad(set_to_none=True)
                    error.backward()  # a sum over members: each one's gradient is its own
                    if recipe.clip:
                        clip(weights, recipe.clip)
                    optimizer.step()
                    step += 1
                    reporter.step(step, steps, lambda error=error: error.item() / len(self.members))
                    if step in stops:
                        found.append(layout.flatten({name: tensor.detach() for name, tensor in stacked.items()}))
        return torch.stack(found)

    @property
    def _device(self) -> torch.device:
        return self.data.inputs.device

    def _begun(self, layout: Layout, start: Tensor) -> dict[str, Tensor]:
        """Every member's state, stacked, and the module ready to train it."""
        self.module.train()
        for layer in normalisers(self.module).values():
            layer.reset_running_stats()  # its count of batches, which isn't part of a row
        return {
            name: part.clone(memory_format=torch.contiguous_format) for name, part in layout.unflatten(start).items()
        }

    def _batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs [members, batch, ...] and targets [members, batch] of every step."""
        inputs, targets = self.data.inputs, self.data.targets
        draws = [self.seeds.draw("augmentation", i, epoch) for i in self.members.tolist()]
        for index in orders(self.seeds, self.recipe.batch, self.members, epoch, len(inputs)):
            index = index.to(self._device)
            shown = inputs.flatten(1).index_select(0, index.flatten()).view(*index.shape, *inputs.shape[1:])
            yield self._augmented(shown, draws), targets[index.flatten()].view(index.shape)

    def _augmented(self, inputs: Tensor, draws: list[torch.Generator]) -> Tensor:
        how = self.recipe.augmentation
        if not (how.crop or how.flip):
            return inputs
        return torch.stack([augment(images, how, draw) for images, draw in zip(inputs, draws, strict=True)])

    def _dropout(self, epoch: int) -> AbstractContextManager[None]:
        """What dropout draws from: the member's own seed. Without dropout nothing is held, and shards run side by side."""
        if not self._random:
            return nullcontext()
        return global_seed(*self.seeds.of("dropout", int(self.members[0]), epoch))

    @cached_property
    def _random(self) -> bool:
        """Whether a training pass draws from torch's global generator; seen by doing one."""
        if stackable(self.module):
            return False
        cuda = self._device.type == "cuda"
        with global_seed("probe"), torch.no_grad():
            before = torch.cuda.get_rng_state(self._device) if cuda else torch.get_rng_state()
            self.module(self.data.inputs[:2])
            return not torch.equal(before, torch.cuda.get_rng_state(self._device) if cuda else torch.get_rng_state())
