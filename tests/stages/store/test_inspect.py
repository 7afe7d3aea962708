"""`dwf show` of stores that others wrote, or nobody: what is in them, or one line."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr
from hostile_configurations import assert_readable, within_bounds

from stages.errors import DwfError
from stages.store.inspect import SAMPLE, contents_of, describe

OURS = {"format": "dwf", "format_version": 1, "complete": True}
Maker = Callable[[Path], object]


def _group(path: Path, values: np.ndarray | None = None, **attributes: object) -> zarr.Group:
    group = zarr.open_group(path, mode="w", attributes=OURS | attributes)
    if values is not None:
        group.create_array("x", data=values)
    return group


def _array(shape: tuple[int, ...], chunks: tuple[int, ...], dtype: str = "f4") -> Maker:
    return lambda path: _group(path).create_array("x", shape=shape, chunks=chunks, dtype=dtype)


def _changed(**fields: object) -> Maker:
    """A store whose array says something else of itself."""

    def make(path: Path) -> None:
        _group(path, np.ones(3))
        file = path / "x" / "zarr.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | fields))

    return make


def _written(content: bytes, name: str = "zarr.json") -> Maker:
    def make(path: Path) -> None:
        _group(path, np.ones(3))
        for file in path.glob(name):
            file.write_bytes(content)

    return make


READABLE: dict[str, Maker] = {
    "no arrays": _group,
    "one number": lambda path: _group(path, np.array(3.0)),
    "whole numbers": lambda path: _group(path, np.arange(6).reshape(2, 3)),
    "texts": lambda path: _group(path, np.array(["a", "b"], dtype=np.dtypes.StringDType())),
    "truth": _array((4,), (2,), "bool"),
    "complex numbers": _array((4,), (2,), "c8"),
    "4 PB that were never written": _array((10**12, 10**3), (10**3, 10**3)),
    "rows of 4 TB": _array((10, 10**12), (1, 10**6)),
    "no rows": _array((0, 5), (1, 5)),
    "rows of nothing": _array((5, 0), (5, 1)),
    "an attribute of a megabyte": lambda path: _group(path, np.ones(3), x="y" * 10**6),
    "a layout that is none": lambda path: _group(path, np.ones((3, 4), np.float32), layout="x"),
}
HOSTILE: dict[str, Maker] = {
    "an unknown codec": _changed(codecs=[{"name": "unknown"}]),
    "no codecs": _changed(codecs=[]),
    "an unknown type": _changed(data_type="nothing"),
    "a negative shape": _changed(shape=[-3]),
    "a shape beyond 64 bits": _changed(shape=[2**70]),
    "a shape that is a text": _changed(shape="x"),
    "chunks of nothing": _changed(chunk_grid={"name": "regular", "configuration": {"chunk_shape": [0]}}),
    "more axes than chunks": _changed(shape=[3, 3]),
    "an unknown grid": _changed(chunk_grid={"name": "unknown"}),
    "empty chunks": _written(b"", "x/c/*"),
    "chunks of noise": _written(bytes(range(256)), "x/c/*"),
    "no JSON": _written(b"{"),
    "a list": _written(b"[]"),
    "another encoding": _written(b"\xff\xfe\0"),
    "version 9": _written(b'{"zarr_format": 9, "node_type": "group"}'),
    "an array's metadata": _written(b'{"zarr_format": 3, "node_type": "array"}'),
    "an array": lambda path: zarr.create_array(str(path), data=np.ones(3)),
    "version 2": lambda path: zarr.open_group(path, mode="w", zarr_format=2).create_array("x", data=np.ones(3)),
    "somebody else's": lambda path: zarr.open_group(path, mode="w").create_array("x", data=np.ones(3)),
    "nothing": Path.mkdir,
    "a file": lambda path: path.write_text("x"),
    "within itself": lambda path: (_group(path, np.ones(3)), (path / "y").symlink_to(path)),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
}


@pytest.mark.parametrize("kind", READABLE)
def test_a_store_of_any_arrays_is_described_in_readable_lines(tmp_path: Path, kind: str):
    READABLE[kind](tmp_path / "a.zarr")
    with within_bounds(30.0, memory=2**29):
        lines = list(describe(contents_of(tmp_path / "a.zarr")))
    assert_readable("\n".join(lines[1:]))


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_store_that_is_none_is_one_line(tmp_path: Path, kind: str):
    HOSTILE[kind](tmp_path / "a.zarr")
    with within_bounds(30.0), pytest.raises((DwfError, OSError)) as caught:
        contents_of(tmp_path / "a.zarr")
    if isinstance(caught.value, DwfError):
        assert_readable(str(caught.value))
        assert str(caught.value).startswith(f"{tmp_path}/a.zarr: ")
        assert "\n" not in str(caught.value)
    else:
        assert caught.value.filename is not None


def test_statistics_are_of_the_first_values(tmp_path: Path):
    values = np.zeros((3, SAMPLE // 2), np.float32)
    values[0], values[2] = 1, 100
    _group(tmp_path / "a.zarr", values)
    found = contents_of(tmp_path / "a.zarr").stores[0].arrays[0].statistics
    assert found is not None
    assert (found.mean, found.min, found.max) == (0.5, 0, 1)
