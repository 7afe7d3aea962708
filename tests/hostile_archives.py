"""Checkpoints in archives, of torch.save and numpy, each wrong in one way."""

import io
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from foreign_checkpoints import trained

PLAIN = dict(trained(0).state_dict())
TENSOR = "5.bias"
"""The tensor [3] that is another one in many of the files below."""
Maker = Callable[[Path], Path]
"""Writes a file, or more, below a folder, and says which is the checkpoint."""


def written(name: str, content: bytes) -> Maker:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def saved(content: object, *, old: bool = False) -> Maker:
    def make(folder: Path) -> Path:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = content() if callable(content) else content
            torch.save(made, folder / "a.pt", _use_new_zipfile_serialization=not old)
        return folder / "a.pt"

    return make


# Archives of torch.save, taken apart and put together again.


def _entries() -> dict[str, bytes]:
    buffer = io.BytesIO()
    torch.save(PLAIN, buffer)
    with zipfile.ZipFile(buffer) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(entries: Iterable[tuple[str, bytes]], method: int = zipfile.ZIP_STORED, name: str = "a.pt") -> Maker:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", method) as archive:
        warnings.simplefilter("ignore")  # two of a name
        for entry, content in entries:
            archive.writestr(entry, content)
    return written(name, buffer.getvalue())


def _changed(**changes: bytes | None) -> Maker:
    """With the content of entries, by the last part of their names, replaced or left out."""
    entries = {name: changes.get(name.rpartition("/")[2], content) for name, content in _entries().items()}
    return zipped((name, content) for name, content in entries.items() if content is not None)


def _poked(find: bytes, at: int, put: bytes, last: bool = True) -> Maker:
    """An archive of torch.save with bytes changed behind a mark, in its first or last place."""

    def make(folder: Path) -> Path:
        torch.save(PLAIN, folder / "a.pt")
        content = bytearray((folder / "a.pt").read_bytes())
        place = (content.rfind if last else content.find)(find) + at
        content[place : place + len(put)] = put
        (folder / "a.pt").write_bytes(content)
        return folder / "a.pt"

    return make


DIRECTORY = b"PK\x01\x02"
"""Before each entry of an archive's directory: checksum at 16, packed size at 20, size at 24, offset at 42."""
BOMB = bytes(2**26)


def _flipped(record: str) -> bytes:
    content = bytearray(_entries()[record])
    content[len(content) // 2] ^= 1
    return bytes(content)


ARCHIVES: dict[str, Maker] = {
    **{
        f"packed by method {method}": zipped(_entries().items(), method)
        for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    },
    "a bomb": zipped([*_entries().items(), ("a/data/99", BOMB)], zipfile.ZIP_DEFLATED),
    "a bomb beside": zipped([*_entries().items(), ("beside", BOMB)], zipfile.ZIP_DEFLATED),
    "a bomb of arrays": zipped([("w.npy", BOMB)], zipfile.ZIP_DEFLATED, "a.npz"),
    "two entries of a name": zipped([*_entries().items(), *list(_entries().items())[:1]]),
    "no entries": zipped([]),
    "10,000 entries": zipped((f"a/data/{i}", b"") for i in range(10_000)),
    "entries above": zipped([("../../a/data.pkl", b"x"), ("/etc/data.pkl", b"x")]),
    "an entry of a long name": zipped([("x" * 60_000, b"")]),
    "data.pkl is a folder": zipped([("a/data.pkl/x", b""), ("a/version", b"3\n")]),
    **{f"without {name}": _changed(**{name: None}) for name in ("data.pkl", "0", "version")},
    **{f"an empty {name}": _changed(**{name: b""}) for name in ("data.pkl", "0", "version", "byteorder")},
    **{f"a short {name}": _changed(**{name: b"\0"}) for name in ("data.pkl", "0", "5")},
    "a long record": _changed(**{"0": bytes(10_000)}),
    "version 999999": _changed(version=b"999999\n"),
    "no number for a version": _changed(version=b"x" * 1000),
    "no order of bytes": _changed(byteorder=b"middle"),
    **{f"changed {record}": _poked(content, len(content) // 2, b"\xff\xfe")
       for record, content in _entries().items() if len(content) > 10},
    **{f"another {what}": _poked(DIRECTORY, at, put) for what, at, put in (
        ("checksum", 16, b"\0\0\0\0"), ("packed size", 20, b"\xff\xff\xff\x7f"), ("size", 24, b"\xff\xff\xff\x7f"),
        ("size, of zip64", 24, b"\xff\xff\xff\xff"), ("offset", 42, b"\0\0\0\0"),
        ("far offset", 42, b"\xff\xff\xff\x7f"),
        ("method", 10, b"\x08\0"), ("unknown method", 10, b"\x63\0"), ("password", 8, b"\x01\0"))},
    **{f"another local {what}": _poked(b"PK\x03\x04", at, put, last=False) for what, at, put in (
        ("name", 30, b"zzz"), ("length of a name", 26, b"\xff\xff"), ("method", 8, b"\x08\0"),
        ("sign", 0, b"PK\x09\x09"))},
    **{f"another end: {at}": _poked(b"PK\x05\x06", at, b"\xff\xff") for at in (8, 10, 12, 16, 20)},
}  # fmt: skip


def _npy(header: str, values: bytes = bytes(16), version: int = 1) -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(text)) + text + values


def _described(dtype: str = "<f4", shape: str = "(4,)") -> str:
    return f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}}}"


ARRAYS: dict[str, Maker] = {
    **{f"npz: {kind}": zipped([("w.npy", content)], name="a.npz") for kind, content in {
        "a shape beyond its values": _npy(_described(shape="(400,)")),
        "a shape of 200 TB": _npy(_described(shape="(50000000000000,)")),
        "a shape beyond 64 bits": _npy(_described(shape="(10**30,)")),
        "a huge shape": _npy(_described(shape=f"({10**30},)")),
        "a negative shape": _npy(_described(shape="(-4,)")),
        "a shape that is a text": _npy(_described(shape="'x'")),
        "objects": _npy(_described("|O")), "fields": _npy(_described("<f4,<i4")), "dates": _npy(_described("<M8[s]")),
        "texts": _npy(_described("<U1")), "texts of 4 GB": _npy(_described("<U1000000000")),
        "of nothing": _npy(_described("|V0")), "a type that isn't one": _npy(_described("nothing")),
        "no header": b"\x93NUMPY", "another version": _npy("{}", version=9),
        "code in the header": _npy("__import__('os').system('true')"), "an open header": _npy("{'descr':"),
        "brackets": _npy("(" * 5000), "a long header": _npy(" " * 60_000, version=2), "no array": b"x" * 100,
        "nothing": b"",
    }.items()},
    "npz: changed": zipped([("w.npy", _npy(_described()))], zipfile.ZIP_DEFLATED, "a.npz"),
}  # fmt: skip
