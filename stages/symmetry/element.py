"""Elements of a network's symmetry: units multiplied by scales and signs, then put in another order."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from stages.symmetry.table import Permutations, Symmetry, Weights

Factors = Mapping[str, Tensor]
"""Group name -> a factor [size] for each unit, in the order before units move."""


@dataclass(frozen=True)
class Element:
    """What happens to the units of each group; groups that a mapping leaves out keep their order, signs or scales.

    `signs` are 1 or -1, where activations are odd; `scales` are positive, where activations are like ReLU.
    """

    permutations: Permutations
    signs: Factors = field(default_factory=dict)
    scales: Factors = field(default_factory=dict)

    def act(self, symmetry: Symmetry, weights: Weights) -> dict[str, Tensor]:
        """The moved network: the same function. Bit for bit but for the rounding of scales."""
        weights = symmetry.rescale(self.scales, weights) if self.scales else weights
        weights = symmetry.flip(self.signs, weights) if self.signs else weights
        return symmetry.act(self.permutations, weights)

    def only(self, group: str) -> "Element":
        """The order and the signs of one group alone, without scales."""
        return Element(*({n: v for n, v in table.items() if n == group} for table in (self.permutations, self.signs)))

    def inverse(self, symmetry: Symmetry) -> "Element":
        """The element that undoes this one."""
        scales = {name: 1 / factors for name, factors in self.scales.items()}
        return Element(symmetry.invert(self.permutations), *(self._moved(factors) for factors in (self.signs, scales)))

    def then(self, symmetry: Symmetry, other: "Element") -> "Element":
        """One element that acts like this one followed by another."""
        back = Element(symmetry.invert(self.permutations))
        signs, scales = (back._moved(factors) for factors in (other.signs, other.scales))
        return Element(
            symmetry.compose(self.permutations, other.permutations),
            _product(self.signs, signs),
            _product(self.scales, scales),
        )

    def _moved(self, factors: Factors) -> dict[str, Tensor]:
        """Factors in the order that the permutations put units in."""
        return {name: values[self.permutations[name]] for name, values in factors.items()}


def _product(first: Factors, second: Factors) -> dict[str, Tensor]:
    """Factors of one and the other; 1 where one has none."""
    both = {name: first[name] * second[name] for name in first.keys() & second.keys()}
    return {**first, **second, **both}


def random_element(symmetry: Symmetry, draw: torch.Generator) -> Element:
    """Units in a uniformly drawn order, with random signs and with scales between 1/2 and 2 where a table has them."""
    signs = {name: random_signs(symmetry.groups[name].size, draw) for name in symmetry.flippable}
    scales = {name: random_scales(symmetry.groups[name].size, draw) for name in symmetry.rescalable}
    return Element(symmetry.random(draw), signs, scales)


def random_signs(size: int, draw: torch.Generator) -> Tensor:
    """1 or -1 for each unit."""
    return 2 * torch.randint(2, (size,), generator=draw, dtype=torch.int8) - 1


def random_scales(size: int, draw: torch.Generator) -> Tensor:
    """A factor between 1/2 and 2 for each unit."""
    return torch.empty(size, dtype=torch.float64).uniform_(-1, 1, generator=draw).exp2()
