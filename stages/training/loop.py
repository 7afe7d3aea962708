"""The training loop: members as one stack, or one after the other, each from its own seed."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from math import ceil

import numpy as np
import torch
from torch import Tensor, nn

from stages.context import Context, Progress
from stages.datasets import Train
from stages.nets.initialise import initialise
from stages.nets.normalisation import normalisers
from stages.nets.stacked import forward, stackable
from stages.params.zoo import ZooParams
from stages.seeds import generator, global_seed
from stages.store.layout import Layout
from stages.training.augment import augment
from stages.training.optimizer import clip, optimizer_for, set_rate
from stages.training.task import loss


def train_members(module: nn.Module, params: ZooParams, members: np.ndarray, attempt: int, data: Train,
                  ctx: Context) -> Tensor:  # fmt: skip
    """Train members of these numbers, each from its own initialisation and in its own data order.

    Returns their rows, parameters then buffers. A member's row depends on its neighbours by round-off alone.
    """
    data = Train(data.inputs.to(ctx.device), data.targets.to(ctx.device))
    module.to(ctx.device).train()
    stacks = [members] if stackable(module) else np.split(members, len(members))
    rows = []
    for i, stack in enumerate(stacks):
        tell = _Teller(stack, partial(_share, ctx.progress, i, len(stacks)))
        rows.append(_Run(module, params, stack, attempt, data).finish(tell))
    return torch.cat(rows)


def _share(progress: Progress, index: int, count: int, share: float, note: str) -> None:
    """Progress of one of several stacks."""
    progress((index + share) / count, note)


@dataclass(frozen=True)
class _Run:
    """One stack of members, of one member where networks aren't stacked."""

    module: nn.Module
    params: ZooParams
    members: np.ndarray
    attempt: int
    data: Train

    def finish(self, tell: "_Teller") -> Tensor:
        """Train through all epochs. Returns the rows."""
        recipe, layout = self.params.recipe, Layout.of_module(self.module)
        stacked = self._initial()
        weights = [stacked[slot.name].requires_grad_() for slot in layout.drawn.slots]
        optimizer, step = optimizer_for(recipe, weights), 0
        steps = recipe.epochs * ceil(len(self.data.inputs) / recipe.batch)
        for epoch in range(recipe.epochs):
            with self._dropout(epoch):
                for inputs, targets in self._batches(epoch):
                    set_rate(optimizer, recipe, step, steps)
                    error = loss(forward(self.module, stacked, inputs, shared=False), targets, recipe.label_smoothing)
                    optimizer.zero_grad(set_to_none=True)
                    error.backward()  # a sum over members: each one's gradient is its own
                    if recipe.clip:
                        clip(weights, recipe.clip)
                    optimizer.step()
                    step += 1
                    tell(step, steps, error)
        return layout.flatten({name: tensor.detach() for name, tensor in stacked.items()})

    @property
    def _device(self) -> torch.device:
        return self.data.inputs.device

    def _initial(self) -> dict[str, Tensor]:
        """Every member's fresh state, stacked."""
        for layer in normalisers(self.module).values():
            layer.reset_running_stats()  # its count of batches, which isn't part of a row
        kinds = self.params.initialisations
        draws = [(kinds[i % len(kinds)], self._draw("member", i)) for i in self.members.tolist()]
        states = [initialise(self.params.network, kind, draw) for kind, draw in draws]
        return {name: torch.stack([s[name] for s in states]).to(self._device) for name in states[0]}

    def _draw(self, purpose: str, member: int, *epoch: int) -> torch.Generator:
        return generator(self.params.seed, purpose, member, self.attempt, *epoch)

    def _batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs [members, batch, ...] and targets [members, batch] of every step."""
        inputs, targets = self.data.inputs, self.data.targets
        draws = [self._draw("augmentation", i, epoch) for i in self.members.tolist()]
        for index in orders(self.params, self.members, self.attempt, epoch, len(inputs)):
            index = index.to(self._device)
            shown = inputs.flatten(1).index_select(0, index.flatten()).view(*index.shape, *inputs.shape[1:])
            yield self._augmented(shown, draws), targets[index.flatten()].view(index.shape)

    def _augmented(self, inputs: Tensor, draws: list[torch.Generator]) -> Tensor:
        how = self.params.recipe.augmentation
        if not (how.crop or how.flip):
            return inputs
        return torch.stack([augment(images, how, draw) for images, draw in zip(inputs, draws, strict=True)])

    def _dropout(self, epoch: int) -> AbstractContextManager[None]:
        """What dropout draws from: the member's own seed. Without dropout nothing is held, and shards run side by side."""
        if not self._random:
            return nullcontext()
        return global_seed(self.params.seed, "dropout", int(self.members[0]), self.attempt, epoch)

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


def orders(params: ZooParams, members: np.ndarray, attempt: int, epoch: int, examples: int) -> tuple[Tensor, ...]:
    """Example positions [members, batch] of every step of an epoch: each member's own shuffle."""
    draws = [generator(params.seed, "order", i, attempt, epoch) for i in members.tolist()]
    shuffled = torch.stack([torch.randperm(examples, generator=draw) for draw in draws])
    return shuffled.split(params.recipe.batch, dim=1)


class _Teller:
    """Reports a step's loss, twice a second at most."""

    def __init__(self, members: np.ndarray, progress: Progress) -> None:
        """For a stack of these members."""
        first, last = members[0], members[-1]
        self.who = f"members {first}-{last}" if last > first else f"member {first}"
        self.count, self.progress, self.told = len(members), progress, time.monotonic()

    def __call__(self, step: int, steps: int, error: Tensor) -> None:
        """After so many of the steps, with the members' summed loss."""
        if time.monotonic() - self.told > 0.5:
            self.told = time.monotonic()
            self.progress(step / steps, f"{self.who}, step {step}/{steps}, loss {error.item() / self.count:.3f}")
