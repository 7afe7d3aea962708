"""The canonical form of networks: norms balanced, then units relabelled towards a target by a matching method."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from stages.store.layout import Layout
from stages.symmetry.element import Element
from stages.symmetry.rebasin import match
from stages.symmetry.scale import balance
from stages.symmetry.table import Symmetry, Weights
from stages.symmetry.transfusion import transfuse

Row = Float[Tensor, " parameters"]
Method = Literal["rebasin", "transfusion", "none"]
MATCHERS = {"rebasin": match, "transfusion": transfuse}


@dataclass(frozen=True)
class Aligner:
    """A matching method over a symmetry table. Without `streams`, units that residual additions carry through many
    layers keep their order.
    """

    symmetry: Symmetry
    method: Method
    streams: bool
    max_sweeps: int

    def table(self, parameters: Collection[str]) -> Symmetry:
        """The groups that are matched, as they lie on these tensors, which leave out measured buffers."""
        movable = [name for name, group in self.symmetry.groups.items() if self.streams or not group.stream]
        return self.symmetry.only(movable).restricted_to(parameters)

    def element(self, table: Symmetry, target: Weights, weights: Weights, draw: torch.Generator) -> Element:
        """The relabelling of every group, with signs, that brings a network closest to the target in this table's
        places; groups that the table lacks stay.
        """
        identity = self.symmetry.identity()
        if self.method == "none":
            return Element(identity)
        found = MATCHERS[self.method](table, target, weights, draw, self.max_sweeps).element
        unchanged = {name: torch.ones(table.groups[name].size, dtype=torch.int8) for name in table.flippable}
        return Element(identity | dict(found.permutations), unchanged | dict(found.signs))


@dataclass(frozen=True)
class CanonicalForm:
    """What brings any network of one architecture to canonical form.

    Rows hold the layout's tensors: parameters alone, or parameters and then buffers. Units are rescaled and relabelled
    in all of them; matching looks at the parameters alone. Random draws (the order in which groups are matched) come
    from the generator given, so equal generators give equal results.
    """

    aligner: Aligner
    layout: Layout
    balance_norms: bool

    @cached_property
    def symmetry(self) -> Symmetry:
        """The table as it lies on the layout's tensors."""
        return self.aligner.symmetry.restricted_to([slot.name for slot in self.layout.slots])

    @cached_property
    def matched(self) -> Symmetry:
        """The table as it lies on the layout's parameters, for matching."""
        return self.aligner.table([slot.name for slot in self.layout.slots if not slot.buffer])

    @cached_property
    def by_matching(self) -> "CanonicalForm":
        """The same form with Git Re-Basin in place of the method `none`, to compare networks whatever their order."""
        if self.aligner.method != "none":
            return self
        return replace(self, aligner=replace(self.aligner, method="rebasin"))

    def scales(self, row: Row) -> dict[str, Tensor]:
        """Scales [size] per group that balance incoming and outgoing norms; empty if the form keeps them."""
        return balance(self.symmetry, self.layout.unflatten(row)) if self.balance_norms else {}

    def rescaled(self, row: Row, scales: Mapping[str, Tensor]) -> Row:
        """A network with its units multiplied by these scales: the same function where activations are ReLU."""
        return self.layout.flatten(self.symmetry.rescale(scales, self.layout.unflatten(row))) if scales else row

    def balanced(self, row: Row) -> Row:
        """A network with balanced norms; as it is if the form keeps them."""
        return self.rescaled(row, self.scales(row))

    def element(self, target: Row, row: Row, draw: torch.Generator) -> Element:
        """The relabelling, with signs, that brings a network, balanced already, closest to the target."""
        return self.aligner.element(self.matched, self.layout.unflatten(target), self.layout.unflatten(row), draw)

    def aligned(self, target: Row, row: Row, draw: torch.Generator) -> Row:
        """A network, balanced already, relabelled towards the target."""
        moved = self.element(target, row, draw).act(self.symmetry, self.layout.unflatten(row))
        return self.layout.flatten(moved)

    def applied(self, target: Row, row: Row, draw: torch.Generator) -> Row:
        """A network in canonical form: balanced, then relabelled towards the target."""
        return self.aligned(target, self.balanced(row), draw)
