"""A user's own data that would take far more memory than their files, or are no data, end in one readable line."""

import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_configurations import assert_readable, within_bounds

from stages.datasets import load_fitting
from stages.errors import DwfError
from stages.params.dataset import dataset_from

Maker = Callable[[Path], dict[str, Any]]
"""Writes files below a folder, and says what describes them as a data set."""


def _archive(x: bytes) -> Maker:
    def make(folder: Path) -> dict[str, Any]:
        with zipfile.ZipFile(folder / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x.npy", x)
        return {"kind": "arrays", "train": str(folder / "a.npz")}

    return make


def _npy(shape: str, dtype: str = "<f4") -> bytes:
    header = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + bytes(64)


def _pair(x: bytes) -> Maker:
    def make(folder: Path) -> dict[str, Any]:
        (folder / "x.npy").write_bytes(x)
        np.save(folder / "y.npy", np.arange(10) % 2)
        return {"kind": "arrays", "train": [str(folder / "x.npy"), str(folder / "y.npy")]}

    return make


def _table(content: bytes, kind: str = "csv") -> Maker:
    def make(folder: Path) -> dict[str, Any]:
        (folder / f"a.{kind}").write_bytes(content)
        return {"kind": kind, "train": str(folder / f"a.{kind}"), "target": "y"}

    return make


def _image(content: bytes) -> Maker:
    def make(folder: Path) -> dict[str, Any]:
        for name in "ab":
            (folder / name).mkdir()
            (folder / name / "1.png").write_bytes(content)
        return {"kind": "folder", "train": str(folder), "size": 8}

    return make


def _png(width: int, height: int) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


HOSTILE: dict[str, Maker] = {
    "an archive of zeros": _archive(bytes(2**26)),
    "an archive with an array of 200 TB": _archive(_npy("(50000000000000,)")),
    "an archive with an open header": _archive(_npy("(")),
    "an archive of objects": _archive(_npy("(4,)", "|O")),
    "an array of 200 TB": _pair(_npy("(50000000000000,)")),
    "an array beyond 64 bits": _pair(_npy(f"({2**70},)")),
    "an array of a negative shape": _pair(_npy("(-4,)")),
    "an array with an open header": _pair(_npy("(")),
    "an array of no numbers": _pair(_npy("(True, None)")),
    "a value of a megabyte": _table(b"x,y\n" + b"9" * 10**6 + b"z,1\n2,0\n"),
    "a name of a megabyte": _table(b"x" * 10**6 + b",z\n1,2\n"),
    "a quote without an end": _table(b'x,y\n"' + b"x" * 10**6),
    "bytes of no text": _table(bytes(range(256)) * 10),
    "an empty table": _table(b""),
    "no parquet": _table(b"PAR1" + bytes(100) + b"PAR1", "parquet"),
    "an image of 4.8 GB": _image(_png(40_000, 40_000)),
    "an image beyond 64 bits": _image(_png(2**31 - 1, 2**31 - 1)),
    "an image of nothing": _image(_png(0, 0)),
    "an image without pixels": _image(_png(100, 100)),
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.filterwarnings("ignore")
def test_hostile_data_are_refused_in_a_readable_line(tmp_path: Path, kind: str):
    dataset = dataset_from({**HOSTILE[kind](tmp_path), "task": "classification"})
    with within_bounds(30.0, memory=2**28), pytest.raises(DwfError) as caught:
        load_fitting(dataset, tmp_path)
    assert_readable(str(caught.value))
    assert "\n" not in str(caught.value)
