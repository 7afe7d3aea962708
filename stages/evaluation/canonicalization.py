"""What canonicalizing this zoo was worth, measured on the test data."""

import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stages.artifacts.members import is_train
from stages.canonical.alignment import ALIGNMENT, read_alignment, read_symmetry
from stages.datasets import Test
from stages.evaluation import worth
from stages.evaluation.inputs import Material
from stages.evaluation.outcome import outcome
from stages.evaluation.recorded import barrier
from stages.nets.stacked import outputs
from stages.store.weights import Shards

EXAMPLES = 1000
"""Test examples, at most, for these scores."""
FITTED = 200
"""Training members, at most, that the components are made from."""


def canonicalization(zoo: Shards, material: Material) -> dict[str, Any]:
    """Scores before and after, whether all comes back, the barrier, the spectrum, and round trips through components."""
    variance = torch.from_numpy(material.packed.facts("pca/variance"))
    found = {"spectrum": worth.flatness(variance), **barrier(material.canonical)}
    if material.test is None or not material.params.probe_members:
        return found
    few = Test(material.test.inputs[:EXAMPLES], material.test.targets[:EXAMPLES])
    probe = _Probe(zoo, material, few)
    return found | probe.kept() | {"pca_round_trip": probe.round_trip()}


@dataclass(frozen=True)
class _Probe:
    """A few members of a zoo, on a few test examples."""

    zoo: Shards
    material: Material
    test: Test

    @cached_property
    def train(self) -> np.ndarray:
        return is_train(self.material.packed).numpy()

    def kept(self) -> dict[str, Any]:
        """Members as they were trained, with their own buffers; in double precision, where relabelling rounds nothing away."""
        numbers = np.flatnonzero(self.train)[: self.material.params.probe_members].tolist()
        rows, places = self._stored(numbers), [self._places[i] for i in numbers]
        path = self.material.canonical / ALIGNMENT
        return worth.kept(rows, places, read_alignment(path), read_symmetry(path), self.zoo.layout, self._as_stored)

    def round_trip(self) -> dict[str, list[int] | list[float]]:
        """Held-out members (members, where none are held out) rebuilt from components of raw and of aligned members."""
        others = np.flatnonzero(~self.train if not self.train.all() else self.train)[
            : self.material.params.probe_members
        ]
        fits, drawn = np.flatnonzero(self.train)[:FITTED], self.material.packed.layout.parameters
        raw, raw_others = (self._stored(some.tolist())[:, :drawn] for some in (fits, others))
        members, held = (self.material.packed.pick(some) for some in (fits, others))
        sizes = self.material.params.round_trip_components
        found = [worth.round_trip(a, b, sizes, self._completed) for a, b in ((raw, raw_others), (members, held))]
        both = sorted(found[0].keys() & found[1].keys())
        return {"k": both, "raw": [found[0][k] for k in both], "aligned": [found[1][k] for k in both]}

    def _stored(self, numbers: list[int]) -> Tensor:
        """Complete packed members as they were trained."""
        return torch.cat([self.zoo.rows(i, i + 1) for i in (self._places[number] for number in numbers)])

    @cached_property
    def _places(self) -> list[int]:
        """Where packed members lie in the zoo, others' members being left out."""
        places = {name: i for i, name in enumerate(self.zoo.names)}
        return [places[name] for name in self.material.packed.names]

    def _as_stored(self, rows: Tensor) -> Tensor:
        module, inputs = copy.deepcopy(self.material.completion.module).cpu().double(), self.test.inputs
        inputs = inputs.double() if inputs.is_floating_point() else inputs
        return outcome([outputs(module, self.zoo.layout, rows.double(), inputs)], self.test.targets).scores

    def _completed(self, rows: Tensor) -> Tensor:
        """With running statistics measured anew."""
        m, device = self.material, self.material.ctx.device
        buffers = {name: tensor.to(device) for name, tensor in m.completion.measured(rows).items()}
        found = outputs(m.completion.module, m.packed.layout, rows.to(device), self.test.inputs.to(device), buffers)
        return outcome([found.cpu()], self.test.targets).scores
