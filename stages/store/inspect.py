"""The contents of an artifact: lineage, parameters, and every array's shape, chunks, codecs, ratio and statistics."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from stages.errors import Damaged, NotComplete, shortened
from stages.store.arrays import arrays_of, open_group
from stages.store.files import size_on_disk
from stages.store.manifest import Manifest, read_manifest

SAMPLE = 2**24
"""Number of values per array, from its start, that statistics are taken of."""
BROKEN = (ArithmeticError, AttributeError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError)
"""What Zarr raises at arrays that nobody wrote with it."""


@dataclass(frozen=True)
class Statistics:
    """Of an array's first values."""

    mean: float
    std: float
    min: float
    max: float


@dataclass(frozen=True)
class ArrayFacts:
    """An array of a store; `stored` is what it takes on disk, in bytes, `ratio` its size over that, NaN if none."""

    name: str
    dimensions: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    chunks: tuple[int, ...]
    codecs: tuple[str, ...]
    stored: int
    ratio: float
    statistics: Statistics | None


@dataclass(frozen=True)
class StoreFacts:
    """A Zarr store: what it takes on disk, in bytes, its attributes, without the layout, and its arrays."""

    path: Path
    size: int
    attributes: dict[str, Any]
    arrays: list[ArrayFacts]


@dataclass(frozen=True)
class Contents:
    """An artifact, or a single Zarr store, which has no manifest; `files` are those outside of stores, in bytes."""

    path: Path
    manifest: Manifest | None
    stores: list[StoreFacts]
    files: dict[str, int]

    @property
    def size(self) -> int:
        """Bytes on disk, of everything."""
        return sum(store.size for store in self.stores) + sum(self.files.values())


def contents_of(path: Path) -> Contents:
    """What lies at `path`.

    Raises NotComplete if it is neither a finished artifact nor a store.
    """
    manifest = None
    try:
        manifest = read_manifest(path)
    except NotComplete:
        if path.suffix != ".zarr":
            raise
    stores = [path] if path.suffix == ".zarr" else sorted(p for p in path.rglob("*.zarr") if p.is_dir())
    outside = (p for p in sorted(path.rglob("*")) if p.is_file() and not _inside_store(p, path))
    files = {str(file.relative_to(path)): file.stat().st_size for file in outside}
    return Contents(path, manifest, [_store_facts(store) for store in stores], files)


def describe(contents: Contents) -> Iterator[str]:
    """The same as lines for people."""
    if contents.manifest:
        yield from _manifest(contents.path, contents.manifest)
        yield f"size      {contents.size:,} bytes"
    for store in contents.stores:
        yield from ("", f"{store.path}  {store.size:,} bytes")
        yield from (shortened(f"  {name}: {value}") for name, value in store.attributes.items())
        yield from map(_line, store.arrays)
    yield from (f"{name}  {size:,} bytes" for name, size in contents.files.items())


def _inside_store(file: Path, top: Path) -> bool:
    return top.suffix == ".zarr" or any(p.suffix == ".zarr" for p in file.parents)


def _manifest(path: Path, m: Manifest) -> Iterator[str]:
    yield f"{m.stage} {m.key}  ({m.experiment}, {m.created}, {m.seconds:.1f} s on {m.device}, {m.threads} threads)"
    yield f"{path}"
    yield f"digest    {m.digest}"
    yield f"upstream  {'  '.join(f'{name} {key}' for name, key in m.upstream.items()) or 'none'}"
    yield f"versions  {'  '.join(f'{name} {version}' for name, version in m.versions.items())}"
    yield f"summary   {json.dumps(m.summary)}"
    yield f"params    {json.dumps(m.params)}"


def _store_facts(path: Path) -> StoreFacts:
    group = open_group(path)
    attributes = {name: value for name, value in sorted(group.attrs.items()) if name != "layout"}
    try:
        arrays = [_array_facts(name, array) for name, array in arrays_of(group)]
        return StoreFacts(path, size_on_disk(path), attributes, arrays)
    except BROKEN as error:
        raise Damaged(
            f"{path}: its arrays can't be read ({type(error).__name__}: {error}); copy it anew, or run the stage that "
            "writes it again"
        ) from error


def _array_facts(name: str, array: zarr.Array) -> ArrayFacts:
    dimensions: Any = getattr(array.metadata, "dimension_names", None) or [""] * array.ndim
    stored = array.nbytes_stored()
    return ArrayFacts(
        name,
        tuple(dimensions),
        array.shape,
        str(array.dtype),
        array.chunks,
        tuple(type(codec).__name__.removesuffix("Codec").lower() for codec in array.compressors),
        stored,
        array.nbytes / stored if stored else float("nan"),
        _statistics(array),
    )


def _statistics(array: zarr.Array) -> Statistics | None:
    if array.dtype.kind not in "fiu" or not array.size:
        return None
    values = np.asarray(array[_first(array.shape)]).astype(np.float64)
    return Statistics(*(float(value) for value in (values.mean(), values.std(), values.min(), values.max())))


def _first(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """The first values of an array, SAMPLE at most, by whole rows where that many hold one."""
    left, first = SAMPLE, list[slice]()
    for size in reversed(shape):
        first.append(slice(0, max(1, min(size, left))))
        left //= size
    return tuple(reversed(first))


def _line(array: ArrayFacts) -> str:
    shape = "[" + ", ".join(f"{dim}={size}" for dim, size in zip(array.dimensions, array.shape, strict=True)) + "]"
    codecs = "+".join(array.codecs) or "plain"
    chunks = f"chunks {'x'.join(map(str, array.chunks))} {codecs} {array.stored:,} bytes, ratio {array.ratio:.2f}"
    s = array.statistics
    statistics = f"mean {s.mean:.4g} std {s.std:.4g} min {s.min:.4g} max {s.max:.4g}" if s else ""
    return f"  {array.name:<28} {shape:<34} {array.dtype:<10} {chunks:<48} {statistics}"
