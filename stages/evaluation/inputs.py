"""The artifacts under evaluation, and what networks drawn from them are measured with."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from stages.artifacts.components import components
from stages.artifacts.members import is_train
from stages.canonical.alignment import ALIGNMENT, read_aligner, read_alignment, read_form, read_reference
from stages.context import Context
from stages.datasets import Test
from stages.evaluation.aligned_distance import Nearest, Quotient
from stages.evaluation.metrics import Yardstick
from stages.evaluation.outcome import Outcome, outcome
from stages.flow.spaces.codes import Codes
from stages.nets.stacked import outputs
from stages.params.network import BatchNorm
from stages.params.evaluate import EvaluateParams
from stages.sampling.completion import Completion, completion
from stages.sampling.selection import Choice, choice_of
from stages.seeds import generator
from stages.store.weights import Weights

BLOCK = 64
"""Networks whose outputs are held at once."""


@dataclass(frozen=True)
class Material:
    """Packed members and sampled networks, the folder of their alignment, and the test data (None: there are none)."""

    packed: Weights
    sampled: Weights
    canonical: Path
    test: Test | None
    params: EvaluateParams
    ctx: Context

    @cached_property
    def completion(self) -> Completion:
        """As the generated networks were completed, so are all others."""
        how = self.sampled.attrs.get("batchnorm") or {}
        return completion(self.packed, BatchNorm.model_validate(how), self.ctx)

    @cached_property
    def choice(self) -> Choice:
        """As the generated networks were chosen among those drawn, so are baselines."""
        return choice_of(self.packed, self.sampled.attrs.get("keep_fraction", 1.0), self.ctx)

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
        """Rows of those that it never saw: all, or a few drawn at random."""
        rows = self.packed.rows()[~is_train(self.packed)]
        return rows[self._few("held-out", len(rows))]

    def _few(self, what: str, count: int) -> Tensor:
        if count <= self.params.max_members:
            return torch.arange(count)
        draw = generator(self.params.seed, "measured", what)
        return torch.randperm(count, generator=draw)[: self.params.max_members].sort().values

    @cached_property
    def generated(self) -> Tensor:
        """The parameters that were drawn, in canonical form; what completes the sampled rows comes after them."""
        rows = self.sampled.rows()[:, : self.packed.layout.parameters]
        return rows if self.sampled.attrs.get("canonical", True) else self.placed(rows, "generated")

    def placed(self, rows: Tensor, what: str) -> Tensor:
        """Networks rescaled and relabelled towards the zoo's reference, as its members were; `what` they are seeds it."""
        form, reference = read_form(self.canonical / ALIGNMENT, self.packed.layout), self.quotient.reference
        draws = [generator(self.params.seed, what, i) for i in range(len(rows))]
        return torch.stack([form.applied(reference, row, draw) for row, draw in zip(rows, draws, strict=True)])

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

    def outcome(
        self, rows: Tensor, buffers: Callable[[Tensor], Mapping[str, Tensor]] | None = None, sizes: Sequence[int] = ()
    ) -> Outcome | None:
        """What networks do on the test data, with statistics of their own or the `buffers` given; None without data."""
        if self.test is None or not len(rows):
            return None
        return outcome(self._outputs(rows, buffers or self.completion.measured, self.test), self.test.targets, sizes)

    def _outputs(self, rows: Tensor, buffers: Callable[[Tensor], Mapping[str, Tensor]], test: Test) -> Iterator[Tensor]:
        device, module, layout = self.ctx.device, self.completion.module, self.packed.layout
        inputs = test.inputs.to(device)
        for block in rows.split(BLOCK):
            moved = {name: tensor.to(device) for name, tensor in buffers(block).items()}
            yield outputs(module, layout, block.to(device), inputs, moved).cpu()

    @cached_property
    def yardstick(self) -> Yardstick:
        """The members' own figures set the bars: a low quantile of their scores, and tau."""
        every = len(self.measured) == len(self.members)
        done = self.outcome(self.members, sizes=self.params.ensemble_sizes if every else ())
        bar = float(torch.quantile(done.scores, self.params.bar_quantile)) if done else None
        heldout = (self.heldout, self.outcome(self.heldout, sizes=self.params.ensemble_sizes))
        return Yardstick(self.quotient, self.encode, self.params.novelty_margins, done, bar, heldout)

    @cached_property
    def nearest(self) -> Nearest:
        """The generated networks' distances to members, which baselines are set beside."""
        return self.quotient.nearest(self.generated)

    @cached_property
    def quotient(self) -> Quotient:
        """Distances to members, by the zoo's own way of aligning."""
        path, drawn = self.canonical / ALIGNMENT, self.packed.layout
        reference, scaled = read_reference(path)[: drawn.parameters], bool(read_alignment(path).scales)
        return Quotient(
            self.members,
            drawn,
            read_aligner(path),
            reference,
            self.spread,
            self.params.align_to_nearest,
            scaled,
            self.measured,
        )
