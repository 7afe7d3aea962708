"""How BatchNorm's running statistics are measured."""

from pydantic import PositiveInt

from stages.params.base import Params


class BatchNorm(Params):
    """Running statistics are never generated: each network measures its own, on training inputs."""

    images: PositiveInt = 2000
    """Training inputs, at most as many as there are."""
    batch: PositiveInt = 250
    """Inputs at once; the statistics are the averages of the batches'."""
