"""Effects of canonicalizing on members' test scores, and whether it can be undone."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stages.canonical.alignment import ALIGNMENT, Alignment, read_alignment, read_symmetry
from stages.datasets import Test
from stages.evaluation.figure_parts import Canonicalization, Flatness, RoundTrip
from stages.evaluation.inputs import EvaluationInputs
from stages.evaluation.results import results_of
from stages.evaluation.upstream import recorded_summary
from stages.flow.spaces.codes import effective_rank, principal_codes
from stages.nets.stacked import outputs
from stages.precision import DoublePrecision
from stages.store.layout import Layout
from stages.store.weights import Shards, is_train
from stages.symmetry.table import Symmetry

EXAMPLES = 1000
"""Test examples, at most, for these scores."""
FITTED = 200
"""Training members, at most, that the components are made from."""
Rows = Float[Tensor, "networks parameters"]
Scores = Callable[[Tensor], Float[Tensor, " networks"]]
"""The scores of complete networks, given as rows with their buffers."""


def canonicalization(zoo: Shards, inputs: EvaluationInputs) -> Canonicalization:
    """Scores before, after and undone, the barrier, the spectrum, and round trips through principal components."""
    recorded = recorded_summary(inputs.canonical_path)
    figures: dict[str, Any] = {
        "spectrum": flatness(torch.from_numpy(inputs.packed.facts("pca/variance"))),
        **{name: recorded[name] for name in ("barrier_before", "barrier_after") if name in recorded},
    }
    if inputs.test is not None and inputs.params.probe_members:
        probe = _Probe(zoo, inputs, Test(inputs.test.inputs[:EXAMPLES], inputs.test.targets[:EXAMPLES]))
        figures |= probe.scores_before_after() | {"pca_round_trip": probe.round_trip()}
    return Canonicalization(**figures)


@dataclass(frozen=True)
class _Probe:
    """A few members of a zoo, on a few test examples."""

    zoo: Shards
    inputs: EvaluationInputs
    test: Test

    @cached_property
    def train(self) -> np.ndarray:
        return is_train(self.inputs.packed).numpy()

    def scores_before_after(self) -> dict[str, Any]:
        """Of members as trained, with their own buffers; in double precision, where relabelling rounds nothing away."""
        numbers = np.flatnonzero(self.train)[: self.inputs.params.probe_members].tolist()
        rows, places = self._as_trained(numbers), [self._places[i] for i in numbers]
        path = self.inputs.canonical_path / ALIGNMENT
        return scores_before_after(
            rows, places, read_alignment(path), read_symmetry(path), self.zoo.layout, self._double_precision_scores
        )

    def round_trip(self) -> RoundTrip:
        """Held-out members (members, where none are held out) rebuilt from components of raw and of aligned members."""
        others = ~self.train if not self.train.all() else self.train
        others = np.flatnonzero(others)[: self.inputs.params.probe_members]
        fitted, size = np.flatnonzero(self.train)[:FITTED], self.inputs.packed.layout.size
        raw, raw_others = (self._as_trained(index.tolist())[:, :size] for index in (fitted, others))
        members, heldout = (self.inputs.packed.pick(index) for index in (fitted, others))
        sizes = self.inputs.params.round_trip_components
        before, after = (
            round_trip_scores(a, b, sizes, self._completed_scores) for a, b in ((raw, raw_others), (members, heldout))
        )
        both = sorted(before.keys() & after.keys())
        return RoundTrip(k=both, raw=[before[k] for k in both], aligned=[after[k] for k in both])

    def _as_trained(self, numbers: list[int]) -> Tensor:
        """Complete packed members as they were trained."""
        return torch.cat([self.zoo.rows(i, i + 1) for i in (self._places[number] for number in numbers)])

    @cached_property
    def _places(self) -> list[int]:
        """Where packed members lie in the zoo: those of other data sets are left out."""
        places = {name: i for i, name in enumerate(self.zoo.names)}
        return [places[name] for name in self.inputs.packed.names]

    def _double_precision_scores(self, rows: Tensor) -> Tensor:
        module, inputs = copy.deepcopy(self.inputs.completion.module).cpu().double(), self.test.inputs
        inputs = inputs.double() if inputs.is_floating_point() else inputs
        with DoublePrecision():
            predictions = outputs(module, self.zoo.layout, rows.double(), inputs)
        return results_of([predictions], self.test.targets).scores

    def _completed_scores(self, rows: Tensor) -> Tensor:
        """With running statistics measured anew."""
        return results_of([self.inputs.completion.outputs(rows, self.test.inputs)], self.test.targets).scores


def scores_before_after(
    rows: Rows, numbers: Sequence[int], alignment: Alignment, symmetry: Symmetry, layout: Layout, scores: Scores
) -> dict[str, Any]:
    """The mean score of members before and after they are brought to canonical form, and once brought back.

    `rows` are complete members as they were trained, `numbers` their places in the alignment. `bit_exact` says whether
    all came back bit for bit, as they must unless units were rescaled; `largest_change` is that of any single score.
    """
    original = [layout.unflatten(row) for row in rows]
    moved = [alignment.apply(symmetry, i, weights) for i, weights in zip(numbers, original, strict=True)]
    undone = [alignment.undo(symmetry, i, weights) for i, weights in zip(numbers, moved, strict=True)]
    after, back = (torch.stack([layout.flatten(weights) for weights in states]) for states in (moved, undone))
    by_state = [scores(states).double() for states in (rows, after, back)]
    names = ("score_before", "score_after", "score_undone")
    means = {name: float(values.mean()) for name, values in zip(names, by_state, strict=True)}
    change = max(float((values - by_state[0]).abs().max()) for values in by_state[1:])
    return means | {"largest_change": change, "bit_exact": torch.equal(back, rows)}


def flatness(variance: Float[Tensor, " k"]) -> Flatness:
    """How far a spectrum is from flat: its first variance over the median, and its effective rank out of k."""
    first = float(variance[0] / variance.median().clamp_min(1e-30))
    return Flatness(ev0_over_median=first, effective_rank=effective_rank(variance), k=len(variance))


def round_trip_scores(
    members: Rows, others: Float[Tensor, "others parameters"], sizes: Sequence[int], scores: Scores
) -> dict[int, float]:
    """Mean score of networks rebuilt from their first k codes, by k; the components are the members'."""
    mean = members.mean(0)
    centred = members - mean
    codes = principal_codes((centred @ centred.T).double(), None, whiten=False)
    encoded = codes.encode((others - mean) @ centred.T)
    rebuilt = {
        k: mean + (encoded[:, :k].double() @ codes.basis[:, :k].T).float() @ centred
        for k in sizes
        if k <= codes.components
    }
    return {k: float(scores(rows).mean()) for k, rows in rebuilt.items()}
