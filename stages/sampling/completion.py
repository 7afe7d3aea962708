"""Completion of drawn parameters to whole networks: their buffers measured, computed from their weights, or copied."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stages.artifacts.members import dataset_of, network_of
from stages.context import Context
from stages.datasets import Train, load_fitting
from stages.nets.normalisation import normalisers, reestimate
from stages.nets.registry import build
from stages.nets.spectral_norm import with_singular_vectors
from stages.nets.stacked import outputs
from stages.params.network import BatchNorm
from stages.store.layout import Layout
from stages.store.weights import Weights

Drawn = Float[Tensor, "networks parameters"]


@dataclass(frozen=True)
class Completion:
    """Gives networks their buffers: running statistics and singular vectors of their own, constants as all members.

    `data` are training examples, never others: None for networks without BatchNorm and for zoos without data, whose
    statistics are the reference's.
    """

    module: nn.Module
    reference: dict[str, Tensor]
    data: Train | None
    batchnorm: BatchNorm

    @property
    def layout(self) -> Layout:
        """Of complete networks."""
        return Layout.of_module(self.module)

    def copied(self, rows: Drawn) -> dict[str, Tensor]:
        """The reference's buffers for every network, [networks, *shape], but for those that follow from weights."""
        copies = {name: tensor.expand(len(rows), *tensor.shape) for name, tensor in self.reference.items()}
        return copies | with_singular_vectors(self.module, self.layout.parameter_layout.unflatten(rows))

    def measured(self, rows: Drawn) -> dict[str, Tensor]:
        """The buffers of every network, its running statistics measured anew."""
        copied = self.copied(rows)
        if self.data is None:
            return copied
        inputs, device = self.data.inputs[: self.batchnorm.images], next(self.module.parameters()).device
        drawn, others = self.layout.parameter_layout, {name: tensor.to(device) for name, tensor in copied.items()}
        measured = reestimate(self.module, drawn, rows.to(device), inputs.to(device), self.batchnorm.batch, others)
        return copied | {name: tensor.cpu() for name, tensor in measured.items()}

    def rows(self, rows: Drawn) -> Tensor:
        """Complete networks: the parameters, then the buffers measured anew."""
        return self.layout.flatten(self.layout.parameter_layout.unflatten(rows) | self.measured(rows))

    def outputs(self, rows: Drawn, inputs: Tensor, buffers: Mapping[str, Tensor] | None = None) -> Tensor:
        """Outputs [networks, examples, ...] on the CPU, with these buffers [networks, ...] or those measured anew."""
        device = next(self.module.parameters()).device
        moved = {name: t.to(device) for name, t in (self.measured(rows) if buffers is None else buffers).items()}
        return outputs(self.module, self.layout.parameter_layout, rows.to(device), inputs.to(device), moved).cpu()


def completion(
    packed: Weights, batchnorm: BatchNorm, ctx: Context, condition: Mapping[str, str | float] | None = None
) -> Completion:
    """The completion of networks drawn, under this condition, from these packed members' distribution; training data
    are read only if BatchNorm needs them.

    Raises DataMissing, UsageError as `dataset_of` does.
    """
    module, data = build(network_of(packed)), None
    if normalisers(module) and (dataset := dataset_of(packed, condition)) is not None:
        data, _ = load_fitting(dataset, ctx.data_root)
    return Completion(module.to(ctx.device), reference_buffers(packed, module), data, batchnorm)


def reference_buffers(packed: Weights, module: nn.Module) -> dict[str, Tensor]:
    """The stored float buffers of the zoo's reference member; a fresh module's where none were stored."""
    slots = [slot for slot in Layout.of_module(module).slots if slot.buffer]
    if not packed.has("buffers"):
        state = module.state_dict()
        return {slot.name: state[slot.name].cpu() for slot in slots}
    stored = Layout.from_json(packed.attrs["buffers"])
    values = torch.from_numpy(packed.facts("buffers")).split([slot.size for slot in stored.slots])
    return {slot.name: value.reshape(slot.shape) for slot, value in zip(stored.slots, values, strict=True)}
