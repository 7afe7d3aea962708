"""The listing of an artifact: lineage, parameters, and every array's shape, chunks, codecs, ratio and statistics."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from stages.errors import NotComplete
from stages.store.arrays import arrays_of, open_group
from stages.store.artifact import Manifest, read_manifest
from stages.store.chunks import spans

SAMPLE = 2**24
"""Number of values per array, from its start, that statistics are taken of."""


def describe(path: Path) -> Iterator[str]:
    """Lines about the artifact, or the single Zarr store, at `path`.

    Raises NotComplete if neither lies there.
    """
    try:
        manifest = read_manifest(path)
    except NotComplete:
        if path.suffix != ".zarr":
            raise
    else:
        yield from _manifest(path, manifest)
    stores = [path] if path.suffix == ".zarr" else sorted(p for p in path.rglob("*.zarr") if p.is_dir())
    for store in stores:
        yield from ("", str(store))
        yield from _store(store)
    for file in sorted(p for p in path.rglob("*") if p.is_file() and not _inside_store(p, path)):
        yield f"{file.relative_to(path)}  {file.stat().st_size:,} bytes"


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


def _store(path: Path) -> Iterator[str]:
    group = open_group(path)
    for name, value in sorted(group.attrs.items()):
        if name != "layout":
            yield f"  {name}: {value}"
    for name, array in arrays_of(group):
        yield f"  {name:<28} {_shape(array):<34} {array.dtype!s:<10} {_chunks(array):<30} {_statistics(array)}"


def _shape(array: zarr.Array) -> str:
    names: Any = getattr(array.metadata, "dimension_names", None) or [""] * array.ndim
    return "[" + ", ".join(f"{dim}={size}" for dim, size in zip(names, array.shape, strict=True)) + "]"


def _chunks(array: zarr.Array) -> str:
    codecs = "+".join(type(codec).__name__.removesuffix("Codec").lower() for codec in array.compressors) or "plain"
    stored = array.nbytes_stored()
    ratio = array.nbytes / stored if stored else float("nan")
    return f"chunks {'x'.join(map(str, array.chunks))} {codecs} ratio {ratio:.2f}"


def _statistics(array: zarr.Array) -> str:
    if array.dtype.kind not in "fiu" or not array.size:
        return ""
    rows = max(1, SAMPLE // max(1, array.size // array.shape[0]))
    start, stop = next(spans(array.shape[0], rows))
    values = np.asarray(array[start:stop]).astype(np.float64)
    return f"mean {values.mean():.4g} std {values.std():.4g} min {values.min():.4g} max {values.max():.4g}"
