"""Networks as rows of one array: the format that the zoo, the packed and the sampled networks share."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr
from torch import Tensor

from stages.errors import Damaged, Diverged, LayoutMismatch
from stages.store.arrays import (
    Compression,
    Named,
    create_array,
    create_group,
    finish,
    open_group,
    put,
    read,
    row_digests,
)
from stages.store.chunks import plan_chunks, spans
from stages.store.files import replacing_folder
from stages.store.layout import Layout

UNKNOWN = "unknown"
"""The initialisation of members that another program trained, and their data set where none is given."""


class WeightsWriter:
    """Fills `weights[network, parameter]` by whole rows of chunks; a killed writer goes on where it stopped."""

    def __init__(
        self,
        path: Path,
        layout: Layout,
        names: Sequence[str],
        attrs: Mapping[str, Any],
        compression: Compression = None,
    ) -> None:
        """Create the store at `path`; of a half-written one of the same shape that lies there, chunks are kept."""
        self.path, self.layout, self.names = path, layout, list(names)
        shape = (len(self.names), layout.size)
        plan = plan_chunks(*shape)
        _remove_all_but_chunks(path)
        self.group = create_group(path, "weights", {"layout": layout.to_json(), **attrs})
        create_array(
            self.group,
            "weights",
            ("network", "parameter"),
            shape,
            np.float32,
            chunks=plan.chunk,
            shards=plan.shard,
            compression=compression,
            attrs={"long_name": "parameters in state-dict order"},
        )
        array = self.group["weights"]
        assert isinstance(array, zarr.Array)
        self.array = array
        self.step = array.chunks[0]

    def missing(self, batch: int = 1) -> Iterator[tuple[int, int]]:
        """`(start, stop)` of whole rows of chunks, about `batch` networks at once, that aren't fully written."""
        for start, stop in spans(len(self.names), self.step * max(1, batch // self.step)):
            if not self._written(start, stop):
                yield start, stop

    def _written(self, start: int, stop: int) -> bool:
        try:
            return not np.isnan(self.array[start:stop]).any()
        except ValueError:  # a checksum doesn't fit: torn by a power cut, to be written again
            return False

    def write(self, start: int, rows: Tensor) -> None:
        """Write networks from `start` on.

        Raises ValueError unless they fill whole rows of chunks (two writers of one chunk lose data), and Diverged
        naming the network whose weights aren't finite.
        """
        stop = start + len(rows)
        if start % self.step or (stop % self.step and stop != len(self.names)):
            raise ValueError(f"rows {start}:{stop} don't fill whole chunks of {self.step} rows")
        if not (finite := self.layout.finite(rows)).all():
            bad = start + int((~finite).nonzero()[0])
            raise Diverged(
                f"{self.names[bad]} has weights that aren't finite (or their squares); nothing of this block was stored"
            )
        with zarr.config.set({"array.write_empty_chunks": True}):
            self.array[start:stop] = rows.detach().cpu().numpy()

    def columns(self) -> Iterator[tuple[int, int, Tensor]]:
        """`(start, stop, values[networks, stop - start])` for each column of chunks."""
        return _columns(self.array)

    def finish(self, per_network: Mapping[str, np.ndarray], extra: Mapping[str, Named] | None = None) -> str:
        """Add the facts about each network and other arrays, then complete the store. Returns its digest."""
        put(self.group, "network", Named(("network",), np.array(self.names, dtype=object)))
        self.array.attrs["coordinates"] = " ".join(per_network)
        for name, values in per_network.items():
            put(self.group, name, Named(("network",), values))
        for name, array in (extra or {}).items():
            put(self.group, name, array)
        for name, array in _layout_table(self.layout).items():
            put(self.group, f"layout/{name}", array)
        digests = b"".join(row_digests(self.array))
        stored = np.frombuffer(digests, dtype=np.uint8).reshape(-1, 32)
        put(self.group, "sha256", Named(("network", "digest_byte"), stored))
        return finish(self.group, self.path, {"weights": digests})


def _remove_all_but_chunks(path: Path) -> None:
    """Clear what a killed writer left beside its chunks: it has no checksums, and a power cut may have torn it."""
    array, chunks = path / "weights", path / "weights" / "c"
    for entry in [*path.glob("*"), *array.glob("*"), *chunks.rglob("*.partial")]:
        if entry not in (array, chunks):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _layout_table(layout: Layout) -> dict[str, Named]:
    slots = layout.slots
    return {
        "tensor": Named(("tensor",), np.array([s.name for s in slots], dtype=object)),
        "offset": Named(("tensor",), np.array([s.offset for s in slots])),
        "size": Named(("tensor",), np.array([s.size for s in slots])),
        "shape": Named(("tensor",), np.array(["x".join(map(str, s.shape)) for s in slots], dtype=object)),
        "dtype": Named(("tensor",), np.array([s.dtype for s in slots], dtype=object)),
    }


def write_weights(
    path: Path,
    layout: Layout,
    names: Sequence[str],
    rows: Tensor,
    per_network: Mapping[str, np.ndarray],
    attrs: Mapping[str, Any],
) -> str:
    """Write networks that fit in memory, all or none. Returns the digest."""
    with replacing_folder(path) as partial:
        writer = WeightsWriter(partial, layout, names, attrs)
        writer.write(0, rows)
        return writer.finish(per_network)


class Weights:
    """A complete store of networks, read lazily."""

    def __init__(self, path: Path) -> None:
        """Open it. Raises NotComplete if there is no finished store of this format."""
        self.path = path
        self.group = open_group(path)
        self.layout = Layout.from_json(self.attrs["layout"])
        array = self.group["weights"]
        assert isinstance(array, zarr.Array)
        self.array = array

    @property
    def attrs(self) -> dict[str, Any]:
        """The store's attributes."""
        return dict(self.group.attrs)

    @property
    def digest(self) -> str:
        """Hash of the content, as written."""
        return str(self.attrs["content_digest"])

    def __len__(self) -> int:
        return self.array.shape[0]

    @property
    def names(self) -> list[str]:
        """The networks' names, in row order."""
        return [str(name) for name in self.facts("network")]

    def facts(self, name: str) -> np.ndarray:
        """One fact per network, such as `seed` or `split`; also other small arrays by their path."""
        return read(self.group, name)

    def has(self, name: str) -> bool:
        """Whether such an array is stored."""
        return name in self.group

    def rows(self, start: int = 0, stop: int | None = None) -> Tensor:
        """Networks `start` to `stop` as rows [networks, parameters].

        Raises Damaged naming the network if a checksum doesn't fit or weights are missing.
        """
        values = _read(self.array, slice(start, stop), slice(None))
        if (gaps := np.isnan(values).any(1)).any():
            where = self.names[start + int(gaps.argmax())]
            raise Damaged(f"{self.path}: network {where} has missing weights; `dwf verify` names the file")
        return torch.from_numpy(values)

    def pick(self, index: np.ndarray) -> Tensor:
        """The networks at these positions, in this order."""
        steps = [self.rows(start, stop) for start, stop in _runs(index)]
        return torch.cat(steps) if steps else torch.empty(0, self.layout.size)

    def columns(self) -> Iterator[tuple[int, int, Tensor]]:
        """`(start, stop, values[networks, stop - start])` for each column of chunks."""
        return _columns(self.array)

    def buffers(self) -> dict[str, Tensor]:
        """The stored buffers [networks, ...] by name, read without the parameters."""
        first = self.layout.parameter_layout.size
        return self.layout.buffer_layout.unflatten(torch.from_numpy(_read(self.array, slice(None), slice(first, None))))


def is_train(store: Weights) -> Tensor:
    """Which packed networks a flow may learn from; the others are held out."""
    return torch.from_numpy(store.facts("split") == "train")


def _columns(array: zarr.Array) -> Iterator[tuple[int, int, Tensor]]:
    for start, stop in spans(array.shape[1], array.chunks[1]):
        yield start, stop, torch.from_numpy(_read(array, slice(None), slice(start, stop)))


def _read(array: zarr.Array, rows: slice, columns: slice) -> np.ndarray:
    try:
        return np.asarray(array[rows, columns])
    except ValueError as error:
        raise Damaged(f"{array.store_path}[{rows.start}:{rows.stop}]: {error}; `dwf verify` names the file") from error


class Shards:
    """Several stores of one layout, read as one."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Open them in this order.

        Raises LayoutMismatch naming the store whose tensors differ from the first's.
        """
        self.parts = [Weights(path) for path in paths]
        for part in self.parts[1:]:
            if part.layout != self.parts[0].layout:
                raise LayoutMismatch(f"{part.path}: its tensors differ from those of {self.parts[0].path}")

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    @property
    def layout(self) -> Layout:
        """The tensors of every network."""
        return self.parts[0].layout

    @property
    def attrs(self) -> dict[str, Any]:
        """The first store's attributes."""
        return self.parts[0].attrs

    @property
    def names(self) -> list[str]:
        """The networks' names, in order."""
        return [name for part in self.parts for name in part.names]

    def facts(self, name: str) -> np.ndarray:
        """One fact per network."""
        return np.concatenate([part.facts(name) for part in self.parts])

    def rows(self, start: int, stop: int) -> Tensor:
        """Networks `start` to `stop`, across stores."""
        blocks, offset = [], 0
        for part in self.parts:
            first, last = max(start - offset, 0), min(stop - offset, len(part))
            if first < last:
                blocks.append(part.rows(first, last))
            offset += len(part)
        return torch.cat(blocks)


def _runs(index: np.ndarray) -> Iterator[tuple[int, int]]:
    """Consecutive positions as `(start, stop)`, so that a block of rows is read at once."""
    breaks = np.flatnonzero(np.diff(index) != 1) + 1
    for run in np.split(np.asarray(index), breaks):
        if len(run):
            yield int(run[0]), int(run[-1]) + 1
