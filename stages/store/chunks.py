"""Chunk arithmetic, with no I/O: how an array [networks, parameters] is cut."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

MIB = 2**20
MAX_OBJECTS = 50_000
"""Above this many chunk files, chunks are gathered in shards along the parameters."""


@dataclass(frozen=True)
class ChunkPlan:
    """Chunk and shard shapes; a shard never spans more rows than a chunk, as it is the unit of a lost update."""

    chunk: tuple[int, int]
    shard: tuple[int, int] | None


def plan_chunks(
    networks: int, parameters: int, *, itemsize: int = 4, block: int = 1024 * MIB, low: int = MIB, high: int = 4 * MIB
) -> ChunkPlan:
    """Chunks of about `low` to `high` bytes whose column holds at most `block` bytes over all networks.

    One chunk column is then one block of the Gram matrix and one chunk row a few whole networks: neither
    direction reads more than it needs. Columns are balanced because edge chunks are stored at full size.
    """
    columns = min(parameters, max(1, block // (networks * itemsize)), high // itemsize)
    column_chunks = ceil(parameters / columns)
    columns = ceil(parameters / column_chunks)
    rows = min(networks, max(1, ceil(0.9 * low / (columns * itemsize))))
    row_chunks = ceil(networks / rows)
    rows = ceil(networks / row_chunks)
    if row_chunks * column_chunks <= MAX_OBJECTS:
        return ChunkPlan((rows, columns), None)
    by_size = 256 * MIB // (rows * columns * itemsize)
    by_count = ceil(row_chunks * column_chunks / MAX_OBJECTS)
    return ChunkPlan((rows, columns), (rows, min(column_chunks, by_size, by_count) * columns))


def spans(total: int, step: int) -> Iterator[tuple[int, int]]:
    """`(start, stop)` pairs that cover `range(total)` in order, `step` at a time."""
    for start in range(0, total, step):
        yield start, min(start + step, total)
