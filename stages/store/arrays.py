"""Groups of named arrays in Zarr v3: created whole or filled block by block, digested, opened only when complete."""

import hashlib
import json
import threading
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec
from zarr.errors import GroupNotFoundError

from stages.errors import Damaged, NotComplete
from stages.store.chunks import spans
from stages.store.files import FORMAT, FORMAT_VERSION, replacing_folder
from stages.store.sealed import sealed
from stages.store.sealed_store import SealedStore

Compression = Literal["lz4"] | None
"""`None` stores plain values with a checksum; `"lz4"` shuffles bits and compresses (trained weights: 13 % smaller)."""


_FILTERING = threading.Lock()
"""Warning filters belong to the process: two shards that finish at once must not restore each other's."""


@dataclass(frozen=True)
class Named:
    """Values with the names of their dimensions."""

    dims: tuple[str, ...]
    values: np.ndarray


def _codecs(compression: Compression) -> list[Any]:
    if compression is None:
        return [Crc32cCodec()]
    return [BloscCodec(cname=compression, shuffle="bitshuffle"), Crc32cCodec()]


def create_group(path: Path, kind: str, attrs: Mapping[str, Any]) -> zarr.Group:
    """A new group, marked as not complete. Raises if something is there already."""
    about = {"format": FORMAT, "format_version": FORMAT_VERSION, "kind": kind, "complete": False, **attrs}
    return zarr.create_group(path, zarr_format=3, attributes=about)


def create_array(
    group: zarr.Group,
    name: str,
    dims: tuple[str, ...],
    shape: tuple[int, ...],
    dtype: np.dtype | type,
    *,
    chunks: tuple[int, ...] | None = None,
    shards: tuple[int, ...] | None = None,
    compression: Compression = None,
    attrs: Mapping[str, Any] | None = None,
) -> zarr.Array:
    """An empty array; floats are filled with NaN, so that a value never written can't pass for a weight."""
    floating = np.issubdtype(dtype, np.floating)
    with zarr.config.set({"array.write_empty_chunks": True}):
        return group.create_array(
            name,
            shape=shape,
            dtype=dtype,
            chunks=chunks or tuple(max(1, n) for n in shape),
            shards=shards,
            compressors=_codecs(compression),
            fill_value=np.nan if floating else None,
            dimension_names=dims,
            attributes=dict(attrs or {}),
        )


def put(group: zarr.Group, name: str, array: Named, compression: Compression = None) -> None:
    """Write one small array whole, as a single chunk; `name` may contain folders.

    Replaces an array of that name: a writer killed while it finished finds its own.
    """
    values = array.values
    if name in group:
        del group[name]
    if values.dtype.kind in "UOT":
        stored = group.create_array(
            name,
            shape=values.shape,
            dtype=str,
            chunks=tuple(max(1, n) for n in values.shape),
            compressors=[ZstdCodec(level=0), Crc32cCodec()],
            dimension_names=array.dims,
        )
        stored[...] = values.astype(np.dtypes.StringDType())
        return
    stored = create_array(group, name, array.dims, values.shape, values.dtype, compression=compression)
    stored[...] = values


def finish(group: zarr.Group, path: Path, rows: Mapping[str, bytes] | None = None) -> str:
    """Digest the arrays, mark the group complete, and consolidate its metadata last. Returns the digest.

    `rows` has the joined `row_digests` of arrays that needn't be read once more.
    """
    digest = digest_group(group, rows)
    group.update_attributes({"content_digest": digest, "complete": True})
    with _FILTERING, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
        zarr.consolidate_metadata(path)
    return digest


def write_arrays(path: Path, kind: str, arrays: Mapping[str, Named], attrs: Mapping[str, Any]) -> str:
    """Write a group of small arrays whole or not at all. Returns its digest."""
    with replacing_folder(path) as partial:
        group = create_group(partial, kind, attrs)
        for name, array in arrays.items():
            put(group, name, array)
        return finish(group, partial)


def is_complete(path: Path) -> bool:
    """Whether a finished group of this format lies at `path`, whose metadata can be read."""
    try:
        open_group(path)
    except (NotComplete, Damaged):
        return False
    return True


def open_group(path: Path, compared: bool = True) -> zarr.Group:
    """Open a finished group for reading; within an artifact, what is read is `compared` with the manifest.

    Raises NotComplete naming what was found: nothing, a half-written group, or another format version; then, and on
    reading, Damaged naming a file that isn't as it was written.
    """
    artifact = sealed(path / "zarr.json") if compared else None
    try:
        group = zarr.open_group(SealedStore(path, artifact) if artifact else path, mode="r")
    except (FileNotFoundError, GroupNotFoundError) as error:
        raise NotComplete(f"{path}: no Zarr group here; run the stage that writes it") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged(
            f"{path}: its metadata can't be read ({error}); delete the folder and run the stage again"
        ) from error
    version = group.attrs.get("format_version")
    if group.attrs.get("format") != FORMAT or version != FORMAT_VERSION:
        raise NotComplete(
            f"{path}: found format {group.attrs.get('format')!r} version {version!r}, expected {FORMAT!r} version "
            f"{FORMAT_VERSION}; delete the folder and run the stage again"
        )
    if not group.attrs.get("complete"):
        raise NotComplete(f"{path}: half written; run the stage again and it goes on from there")
    return group


def read(group: zarr.Group, name: str) -> np.ndarray:
    """One array, whole.

    Raises Damaged naming the array if a stored checksum does not fit.
    """
    array = group[name]
    assert isinstance(array, zarr.Array)
    try:
        return np.asarray(array[...])
    except ValueError as error:
        raise Damaged(f"{group.store_path}/{name}: {error}") from error


def arrays_of(group: zarr.Group) -> Iterator[tuple[str, zarr.Array]]:
    """Every array below a group with its path, sorted."""
    members = sorted(group.members(max_depth=None))
    return ((name, node) for name, node in members if isinstance(node, zarr.Array))


def digest_group(group: zarr.Group, rows: Mapping[str, bytes] | None = None) -> str:
    """A hash of every array's path, type, shape and values; how they are chunked or compressed does not matter.

    `rows`: as of `finish`.
    """
    total = hashlib.sha256(f"{FORMAT}/{FORMAT_VERSION}/{group.attrs.get('kind')}".encode())
    for name, array in arrays_of(group):
        header = [name, str(array.dtype), list(array.shape)]
        total.update(json.dumps(header, separators=(",", ":")).encode())
        known = (rows or {}).get(name)
        total.update(hashlib.sha256(known).digest() if known is not None else _digest_values(array))
    return total.hexdigest()


def _digest_values(array: zarr.Array) -> bytes:
    if array.ndim == 2:
        return hashlib.sha256(b"".join(row_digests(array))).digest()
    values = np.asarray(array[...])
    if values.dtype.kind in "UOT":
        return hashlib.sha256(json.dumps(values.tolist()).encode()).digest()
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).digest()


def row_digests(array: zarr.Array) -> Iterator[bytes]:
    """The sha256 of each row's bytes, read one row of chunks at a time."""
    for start, stop in spans(array.shape[0], array.chunks[0]):
        for row in np.ascontiguousarray(array[start:stop]):
            yield hashlib.sha256(row.tobytes()).digest()
