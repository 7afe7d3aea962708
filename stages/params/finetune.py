"""Parameters of the trials: networks trained on, at home and away."""

from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveInt

from stages.params.base import Params
from stages.params.dataset import Dataset
from stages.params.zoo import Recipe


def _rising(values: tuple[int, ...]) -> tuple[int, ...]:
    if any(b <= a for a, b in pairwise(values)):
        raise ValueError(f"must rise, but {list(values)} don't")
    return values


Stops = Annotated[tuple[NonNegativeInt, ...], Field(min_length=1), AfterValidator(_rising)]
"""After how much training networks are scored."""


class FineTune(Params):
    """The fine-tuning gap: the score after more training on the zoo's own data."""

    steps: Stops = (0, 10, 50, 200)
    """Steps of training after which networks are scored."""
    networks: PositiveInt = 10
    """Of each kind: generated, members, aligned soups, fresh."""
    soup_size: int = Field(default=4, ge=2)
    """Aligned members per soup, all of them in a smaller zoo."""
    recipe: Recipe | None = None
    """How they are trained, at a constant learning rate and for `steps`, not its epochs. None: as the zoo was."""


class Transfer(Params):
    """The score on another data set, as networks are and after training on it."""

    dataset: Dataset
    """Its inputs must have the shape of the zoo's, by `size` and `channels` if need be."""
    epochs: Stops = (0, 1, 3)
    """Epochs of training after which networks are scored; 0 is left out where class numbers differ."""
    networks: PositiveInt = 5
    """Of each kind: generated, members, fresh."""
    recipe: Recipe | None = None
    """How they are trained, at a constant learning rate and for `epochs`, not its own. None: as the zoo was."""
