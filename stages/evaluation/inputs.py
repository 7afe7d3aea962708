"""The artifacts under evaluation, and everything that sets of networks are measured with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import starmap
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stages.artifacts.members import dataset_of, network_of, own_buffers, runs_of
from stages.artifacts.pca import packed_subset
from stages.canonical.alignment import ALIGNMENT, read_form, read_reference
from stages.canonical.form import CanonicalForm
from stages.context import Context
from stages.datasets import Test
from stages.evaluation.aligned_distance import AlignedDistance, Nearest
from stages.evaluation.figure_parts import OtherGenerator
from stages.evaluation.network_set import MemberReference, Role
from stages.evaluation.other_generator import canonical_rows, found_among
from stages.evaluation.results import Results, results_of
from stages.flow.spaces.codes import Codes
from stages.flow.spaces.pca import components
from stages.nets.normalisation import running_statistics
from stages.nets.stacked import NOTHING
from stages.params.evaluate import EvaluateParams
from stages.params.network import BatchNorm
from stages.sampling.completion import Completion, completion
from stages.sampling.selection import Selection, selection_of
from stages.seeds import generator
from stages.store.chunks import spans
from stages.store.weights import Weights, is_train

BLOCK = 64
"""Networks whose outputs are held at once."""


@dataclass(frozen=True)
class EvaluationInputs:
    """Packed members and sampled networks, the folder of their alignment, and the test data (None: there are none)."""

    packed: Weights
    sampled: Weights
    canonical_path: Path
    test: Test | None
    params: EvaluateParams
    ctx: Context
    outliers: Test | None = None
    """Examples that ensembles are to tell from the test data."""

    @cached_property
    def completion(self) -> Completion:
        """As the generated networks were completed, so are all others."""
        how = self.sampled.attrs.get("batchnorm") or {}
        return completion(self.packed, BatchNorm.model_validate(how), self.ctx)

    @cached_property
    def selection(self) -> Selection:
        """As the generated networks were selected among those drawn, so are baselines."""
        return selection_of(self.packed, self.sampled.attrs.get("keep_fraction", 1.0), self.ctx)

    @cached_property
    def members(self) -> Tensor:
        """Rows of the members that the flow learned from."""
        return self.packed.rows()[is_train(self.packed)]

    @cached_property
    def measured(self) -> Tensor:
        """Positions among `members` of those that are measured themselves: all, or a few drawn at random."""
        return self._few("members", len(self.members))

    @cached_property
    def heldout(self) -> Tensor:
        """Rows of members that the flow never saw: all, or a few drawn at random."""
        return self.packed.pick(self._heldout.numpy())

    @cached_property
    def _heldout(self) -> Tensor:
        """Their positions among the packed networks."""
        positions = (~is_train(self.packed)).nonzero().flatten()
        return positions[self._few("held-out", len(positions))]

    def own_buffers(self, role: Role, which: Tensor | slice = slice(None)) -> dict[str, Tensor]:
        """Buffers of (some of the) networks of a role that no other network shares: singular vectors of members, and
        statistics that another generator's networks came with, if these are to be kept.
        """
        if role == "generated" and self._read is not None and self.sampled.attrs["generator"]["own_statistics"]:
            tensors = self.sampled.layout.unflatten(self._read[which])
            return {name: tensors[name] for name in running_statistics(self.completion.module)}
        positions = {"members": is_train(self.packed).nonzero().flatten(), "held-out": self._heldout}
        if role not in positions:
            return {}
        return {name: values[positions[role][which]] for name, values in own_buffers(self.packed).items()}

    def _few(self, purpose: str, count: int) -> Tensor:
        if count <= self.params.max_members:
            return torch.arange(count)
        draw = generator(self.params.seed, "measured", purpose)
        return torch.randperm(count, generator=draw)[: self.params.max_members].sort().values

    @cached_property
    def generated(self) -> Tensor:
        """The parameters of the sampled networks, in canonical form; their buffers come after them in a row."""
        if self._read is not None:
            return self._read[:, : self.packed.layout.size]
        rows = self.sampled.rows()[:, : self.packed.layout.size]
        return rows if self.sampled.attrs.get("canonical", True) else self.canonical(rows, "generated")

    @cached_property
    def _read(self) -> Tensor | None:
        """Another generator's networks, complete and in canonical form; None for the flow's."""
        if "generator" not in self.sampled.attrs:
            return None
        inputs, alignment = self.test.inputs if self.test else None, self.canonical_path / ALIGNMENT
        return canonical_rows(self.sampled, alignment, network_of(self.packed), inputs, self.params.seed)

    @cached_property
    def other_generator(self) -> OtherGenerator | None:
        """What is found among another generator's networks; None for the flow's."""
        if self._read is None:
            return None
        heldout = self.packed.rows()[~is_train(self.packed)]
        counts, tau = self.sampled.attrs["generator"], self.reference.tau
        return found_among(self.generated, self.members, heldout, self.distance, tau, counts)

    def canonical(self, rows: Tensor, purpose: str) -> Tensor:
        """Networks in canonical form, as the zoo's members are; `purpose` seeds the order of matching."""
        draws = [generator(self.params.seed, purpose, i) for i in range(len(rows))]
        reference = self.distance.reference
        return torch.stack([self.form.applied(reference, row, draw) for row, draw in zip(rows, draws, strict=True)])

    @cached_property
    def form(self) -> CanonicalForm:
        """What brought the members to canonical form, over their parameters."""
        return read_form(self.canonical_path / ALIGNMENT, self.packed.layout)

    @cached_property
    def mean(self) -> Tensor:
        """The members' mean."""
        return torch.from_numpy(self.packed.facts("pca/mean"))

    @cached_property
    def codes(self) -> Codes:
        """The members' principal components."""
        return components(self.packed, None, whiten=True)

    def encode(self, rows: Tensor) -> Tensor:
        """Whitened principal coordinates of rows."""
        return self.codes.encode_rows(rows, self.mean, self.members)

    def decode(self, codes: Tensor) -> Tensor:
        """The rows with these coordinates."""
        return self.codes.decode_rows(codes, self.mean, self.members)

    @cached_property
    def spread(self) -> Tensor:
        """The standard deviation of each tensor's values, for every parameter in it."""
        stds = torch.from_numpy(self.packed.facts("layout/std")).float()
        return stds.repeat_interleave(torch.tensor([slot.size for slot in self.packed.layout.slots]))

    def results(
        self,
        rows: Tensor,
        buffers: Callable[[Tensor], Mapping[str, Tensor]] | None = None,
        ensemble_sizes: Sequence[int] = (),
        own: Mapping[str, Tensor] = NOTHING,
    ) -> Results | None:
        """Results on the test data; None without data.

        Buffers are the networks' `own` [networks, ...] and, for the rest, BatchNorm statistics measured anew and what
        completion gives generated networks, or what the function `buffers` gives.
        """
        if self.test is None or not len(rows):
            return None
        examples = self.test.inputs
        if self.outliers is not None and ensemble_sizes:
            examples = torch.cat([examples, self.outliers.inputs])
        inputs, completed = examples.to(self.ctx.device), buffers or self.completion.measured

        def of_block(start: int, stop: int) -> Tensor:
            block, theirs = rows[start:stop], {name: tensor[start:stop] for name, tensor in own.items()}
            return self.completion.outputs(block, inputs, {**completed(block), **theirs})

        return results_of(starmap(of_block, spans(len(rows), BLOCK)), self.test.targets, ensemble_sizes)

    @cached_property
    def reference(self) -> MemberReference:
        """The members' own figures set the bars: a low quantile of their scores, and tau."""
        sizes = self.params.ensemble_sizes
        few = len(self.measured) < len(self.members)
        results = self.results(self.members, None, () if few else sizes, self.own_buffers("members"))
        bar = float(torch.quantile(results.scores, self.params.bar_quantile)) if results else None
        heldout = (self.heldout, self.results(self.heldout, None, sizes, self.own_buffers("held-out")))
        return MemberReference(self.distance, self.encode, self.params.novelty_margins, results, bar, heldout)

    @cached_property
    def nearest(self) -> Nearest:
        """The generated networks' distances to members, which baselines are matched to."""
        return self.distance.nearest(self.generated)

    @cached_property
    def distance(self) -> AlignedDistance:
        """Distances to members, by the zoo's own way of aligning."""
        reference = read_reference(self.canonical_path / ALIGNMENT)[: self.packed.layout.size]
        nearby = self.params.align_to_nearest
        runs = runs_of(self.packed)
        train = None if runs is None else runs[is_train(self.packed)]
        return AlignedDistance(self.members, self.form, reference, self.spread, nearby, self.measured, train)


def comparable(packed: Weights, sampled: Weights, folder: Path) -> Weights:
    """The packed networks that generated ones are compared with: of several data sets, those of their own alone.

    These are a store of their own below `folder`, so that means, spectra and distances are theirs alone. Raises
    UsageError if the sampled networks' condition names no data set.
    """
    if "datasets" not in packed.attrs:
        return packed
    condition = sampled.attrs.get("condition", {})
    dataset = dataset_of(packed, condition)
    assert dataset is not None, "several data sets, and the condition names one"
    index = np.flatnonzero(packed.facts("dataset") == condition["dataset"])
    folder.mkdir(exist_ok=True)
    return packed_subset(packed, index, {"dataset": dataset.model_dump(mode="json")}, folder / "members.zarr")
