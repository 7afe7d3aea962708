"""Shards of a zoo: consecutive members that are made and stored together."""

from dataclasses import dataclass
from pathlib import Path

from stages.store.chunks import spans


@dataclass(frozen=True)
class Shard:
    """Consecutive members that are made and stored together."""

    index: int
    start: int
    stop: int

    def path(self, folder: Path) -> Path:
        """The path of its store within the zoo's folder."""
        return folder / "shards" / f"{self.index:04d}.zarr"

    @property
    def names(self) -> list[str]:
        """Stable names, one per member."""
        return [f"member-{i:05d}" for i in range(self.start, self.stop)]


def cut(networks: int, size: int) -> list[Shard]:
    """Shards of at most `size` networks each."""
    return [Shard(i, start, stop) for i, (start, stop) in enumerate(spans(networks, size))]
