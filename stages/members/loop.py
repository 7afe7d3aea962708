"""The training loop: networks stacked, or one after the other, each with random draws of its own."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from math import ceil

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own abbreviation

from stages.context import Context
from stages.datasets import Train
from stages.members.draws import Seeds, augment, orders
from stages.members.optimizer import clip, optimizer_for, set_learning_rate
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
    recipe = params.recipe
    assert isinstance(recipe, Recipe)
    seeds, steps = Seeds(params.seed, attempt), recipe.epochs * steps_per_epoch(recipe, data)
    initial = partial(_initial_rows, module, params, seeds)
    stacks = _train(module, recipe, seeds, members, initial, (steps,), data, ctx)
    return torch.cat([rows for (rows,) in stacks])


def train_from(
    module: nn.Module, rows: Tensor, recipe: Recipe, seeds: Seeds, eval_steps: Sequence[int], data: Train, ctx: Context
) -> Iterator[Tensor]:
    """Train networks further, network i in member i's data order, to the last of `eval_steps`, not the recipe's epochs.

    `rows` [networks, parameters] are complete: parameters, then buffers. Yields rows [eval_steps, networks, parameters]
    at each of these steps, in increasing order, for all networks at once or, where they aren't stacked, for one after
    the other.
    """
    yield from _train(module, recipe, seeds, np.arange(len(rows)), lambda stack: rows[stack], eval_steps, data, ctx)


def steps_per_epoch(recipe: Recipe, data: Train) -> int:
    """Batches of an epoch, the last one perhaps incomplete."""
    return ceil(len(data.inputs) / recipe.batch)


def _train(
    module: nn.Module,
    recipe: Recipe,
    seeds: Seeds,
    members: np.ndarray,
    initial: Callable[[np.ndarray], Tensor],
    eval_steps: Sequence[int],
    data: Train,
    ctx: Context,
) -> Iterator[Tensor]:
    """Rows [eval_steps, members, parameters] of every stack; `initial` gives the rows that its members start from."""
    data = Train(data.inputs.to(ctx.device), data.targets.to(ctx.device))
    module.to(ctx.device)
    stacks = [members] if stackable(module) else np.split(members, len(members))
    for i, stack in enumerate(stacks):
        name = f"members {stack[0]}-{stack[-1]}" if len(stack) > 1 else f"member {stack[0]}"
        reporter = ProgressReporter(name, part_of(ctx.progress, i, len(stacks)))
        yield _TrainingRun(module, recipe, seeds, stack, data).rows_at(eval_steps, initial(stack), reporter)


def _initial_rows(module: nn.Module, params: ZooParams, seeds: Seeds, members: np.ndarray) -> Tensor:
    """Rows [members, parameters] at initialisation."""
    numbers, layout = members.tolist(), Layout.of_module(module)
    states = (initialise(params.network, params.initialisation(i), seeds.draw("member", i)) for i in numbers)
    return torch.stack([layout.flatten(state) for state in states])


@dataclass(frozen=True)
class _TrainingRun:
    """The training of one stack of members, which is a single member where networks aren't stacked."""

    module: nn.Module
    recipe: Recipe
    seeds: Seeds
    members: np.ndarray
    data: Train

    def rows_at(self, eval_steps: Sequence[int], initial: Tensor, reporter: ProgressReporter) -> Tensor:
        """Train from the initial rows through the last of the steps, or the epoch in which all members diverged.

        Returns rows [eval_steps, members, parameters].
        """
        recipe, layout = self.recipe, Layout.of_module(self.module)
        stacked = self._initial_state(layout, initial.to(self._device))
        weights = [stacked[slot.name].requires_grad_() for slot in layout.parameter_layout.slots]
        optimizer, step, steps = optimizer_for(recipe, weights), 0, eval_steps[-1]
        rows = [initial.to(self._device)] if 0 in eval_steps else []
        for epoch in range(ceil(steps / steps_per_epoch(recipe, self.data))):
            total = torch.zeros(())
            with self._dropout(epoch):
                for inputs, targets in islice(self._batches(epoch), steps - step):
                    set_learning_rate(optimizer, recipe, step, steps)
                    total = loss(forward(self.module, stacked, inputs, shared=False), targets, recipe.label_smoothing)
                    optimizer.zero_grad(set_to_none=True)
                    total.backward()  # a sum over members: each one's gradient is its own
                    if recipe.clip:
                        clip(weights, recipe.clip)
                    optimizer.step()
                    step += 1
                    reporter.step(step, steps, lambda total=total: total.item() / len(self.members))
                    if step in eval_steps:
                        rows.append(_rows(layout, stacked))
            if step < steps and not torch.isfinite(total) and not layout.finite(_rows(layout, stacked)).any():
                rows += [_rows(layout, stacked)] * (len(eval_steps) - len(rows))  # what is NaN remains NaN
                break
        return torch.stack(rows)

    @property
    def _device(self) -> torch.device:
        return self.data.inputs.device

    def _initial_state(self, layout: Layout, rows: Tensor) -> dict[str, Tensor]:
        """The members' states, stacked; also sets the module to training mode."""
        self.module.train()
        for layer in normalisers(self.module).values():
            layer.reset_running_stats()  # its count of batches, which isn't part of a row
        state = layout.unflatten(rows)
        return {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in state.items()}

    def _batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs [members, batch, ...] and targets [members, batch] of every step."""
        inputs, targets = self.data.inputs, self.data.targets
        draws = [self.seeds.draw("augmentation", i, epoch) for i in self.members.tolist()]
        for index in orders(self.seeds, self.recipe.batch, self.members, epoch, len(inputs)):
            index = index.to(self._device)
            batch = inputs.flatten(1).index_select(0, index.flatten()).view(*index.shape, *inputs.shape[1:])
            if self.recipe.augmentation.crop or self.recipe.augmentation.flip:
                pairs = zip(batch, draws, strict=True)
                batch = torch.stack([augment(images, self.recipe.augmentation, draw) for images, draw in pairs])
            yield batch, targets[index.flatten()].view(index.shape)

    def _dropout(self, epoch: int) -> AbstractContextManager[None]:
        """Seeds torch's global generator, which dropout draws from, for this member and epoch.

        It is held exclusively; without dropout it isn't touched, so that shards run side by side.
        """
        if not self._draws_globally:
            return nullcontext()
        return global_seed(*self.seeds.of("dropout", int(self.members[0]), epoch))

    @cached_property
    def _draws_globally(self) -> bool:
        """Whether a training pass draws from torch's global generator, as measured by one."""
        if stackable(self.module):
            return False
        cuda = self._device.type == "cuda"
        with global_seed("probe"), torch.no_grad():
            before = torch.cuda.get_rng_state(self._device) if cuda else torch.get_rng_state()
            self.module(self.data.inputs[:2])
            return not torch.equal(before, torch.cuda.get_rng_state(self._device) if cuda else torch.get_rng_state())


def _rows(layout: Layout, stacked: Mapping[str, Tensor]) -> Tensor:
    """The members' rows as they are."""
    return layout.flatten({name: tensor.detach() for name, tensor in stacked.items()})


VECTOR_WIDTH = 16
"""Numbers in a processor's vector: with fewer classes the loss is six times as fast by class, and equal to the bit."""
IGNORE_INDEX = -100
"""The class that torch's cross-entropy leaves out."""


def loss(outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Each member's mean over its batch, cross-entropy (nats) or squared error, summed over members.

    `outputs` are [members, batch, classes] or [members, batch], `targets` [members, batch].
    """
    if targets.is_floating_point():
        return F.mse_loss(outputs, targets, reduction="sum") / targets.shape[1]
    logits, classes = outputs.flatten(0, 1), targets.flatten()
    if logits.shape[1] < VECTOR_WIDTH:
        logits, classes = _by_class(logits, classes)
    return F.cross_entropy(logits, classes, reduction="sum", label_smoothing=label_smoothing) / targets.shape[1]


def _by_class(logits: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """The same as [1, classes, examples] and [1, examples], which fill a processor's vectors as short rows don't.

    Ignored examples pad the last vector, and gradients come back laid out as `logits` are: otherwise both would be
    rounded in another way.
    """
    if logits.requires_grad:
        logits.register_hook(Tensor.contiguous)
    padding = -len(classes) % VECTOR_WIDTH
    return F.pad(logits.T, (0, padding))[None], F.pad(classes, (0, padding), value=IGNORE_INDEX)[None]
