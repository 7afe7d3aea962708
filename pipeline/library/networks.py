"""Networks of a run: a sequence of torch modules, built from stored rows of weights when they are needed."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import torch
from torch import Tensor, nn

from pipeline.library.network import Network, save
from stages.artifacts.export import network_facts
from stages.artifacts.members import network_of
from stages.nets.registry import assign, build
from stages.nets.stacked import outputs
from stages.store.layout import Layout
from stages.store.refs import Ref
from stages.store.weights import Shards, Weights
from stages.trust import trusting

BLOCK = 64
"""Networks whose rows and outputs are held at once."""


class Networks(Sequence[Network]):
    """Networks of one architecture; an index gives a module of its own each time, a slice fewer networks.

    Nothing that is done to such a module changes the networks here, whose weights are those in the store.
    """

    def __init__(
        self,
        ref: Ref,
        store: Weights | Shards,
        positions: Sequence[int] | None = None,
        trust: Sequence[str] = (),
    ) -> None:
        """The networks at these positions of an artifact's store, made by what is trusted; None: all."""
        self.ref, self.store, self.trust = ref, store, trust
        self.positions = tuple(range(len(store)) if positions is None else positions)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The networks' names."""
        names = self.store.names
        return tuple(names[i] for i in self.positions)

    @property
    def layout(self) -> Layout:
        """Which columns of `weights` are which tensor."""
        return self.store.layout

    @cached_property
    def weights(self) -> Tensor:
        """All networks as rows [networks, parameters]: parameters in state-dict order, then float buffers, if any."""
        return torch.cat([*self._blocks(), torch.empty(0, self.layout.size)])

    @cached_property
    def config(self) -> dict[str, Any]:
        """What the networks are, as exported files have it: architecture, data set, what is given to them of an input,
        and the stage and key of their artifact.
        """
        return network_facts(self.store, self.ref.stage, self.ref.key)

    def outputs(self, inputs: Tensor) -> Tensor:
        """Every network's outputs [networks, examples, ...] for inputs [examples, ...], on the inputs' device."""
        return torch.cat([self._outputs(rows, inputs) for rows in self._blocks()])

    def ensemble(self, inputs: Tensor) -> Tensor:
        """The mean of all networks' predictions for inputs [examples, ...].

        Probabilities [examples, classes] of classifiers, whose outputs are logits; numbers [examples] in a regression.
        """
        total = torch.zeros(())
        for rows in self._blocks():
            block = self._outputs(rows, inputs)
            total = total.to(block) + (block.softmax(-1) if block.ndim > 2 else block).sum(0)
        return total / len(self)

    def save(self, folder: Path | str) -> Path:
        """Write every network as `<name>.safetensors`, with `config.json` beside them; returns the folder.

        Raises DwfError if the folder can't be written.
        """
        for network in self:
            save(Path(folder) / f"{network.name}.safetensors", network.module, self.config)
        return Path(folder)

    def __len__(self) -> int:
        return len(self.positions)

    @overload
    def __getitem__(self, index: int) -> Network: ...
    @overload
    def __getitem__(self, index: slice) -> "Networks": ...
    def __getitem__(self, index: int | slice) -> "Network | Networks":
        """A network, or fewer of them."""
        if isinstance(index, slice):
            return Networks(self.ref, self.store, self.positions[index], self.trust)
        module, position = self._built(), self.positions[index]
        assign(module, self.layout.unflatten(self.store.rows(position, position + 1)[0]))
        return Network(module, self.names[index], self.config)

    def __repr__(self) -> str:
        kind = self.config["network"]
        return f"<{len(self)} networks of {self.ref.stage} {self.ref.key}: {kind.get('model') or kind['kind']}>"

    @cached_property
    def _module(self) -> nn.Module:
        """What the networks are run in, one after the other or stacked."""
        return self._built()

    def _built(self) -> nn.Module:
        with trusting(self.trust):
            return build(network_of(self.store))

    def _outputs(self, rows: Tensor, inputs: Tensor) -> Tensor:
        return outputs(self._module.to(inputs.device), self.layout, rows.to(inputs.device), inputs)

    def _blocks(self) -> Iterator[Tensor]:
        """Rows of consecutive networks, a bounded number at a time."""
        start = 0
        while start < len(self):
            stop = start + 1
            while stop < len(self) and stop - start < BLOCK and self.positions[stop] == self.positions[stop - 1] + 1:
                stop += 1
            yield self.store.rows(self.positions[start], self.positions[stop - 1] + 1)
            start = stop
