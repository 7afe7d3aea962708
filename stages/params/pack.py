"""Parameters of pack."""

from typing import Literal

from stages.params.base import Params


class PackParams(Params):
    """Storage of the packed array."""

    compression: Literal["lz4"] | None = None
    """Compression of chunks: `lz4` after a bit shuffle saves about 13 % on trained weights, which pays on storage
    slower than 500 MB/s. None: uncompressed."""
