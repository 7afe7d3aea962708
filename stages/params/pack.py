"""Parameters of stage 3."""

from typing import Literal

from stages.params.base import Params


class PackParams(Params):
    """How the packed array is stored."""

    compression: Literal["lz4"] | None = None
    """`lz4` (with shuffled bits) saves about 13 % on trained weights; pays on storage slower than 500 MB/s."""
