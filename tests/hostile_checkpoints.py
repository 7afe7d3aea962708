"""Checkpoints that nobody should get: by hand, of every format, each wrong in one way."""

import json
import os
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path

import torch
from foreign_checkpoints import save
from hostile_archives import ARCHIVES, ARRAYS, PLAIN, Maker, saved, written
from hostile_pickles import CONTENTS, ONES, PICKLES

# Files of the other formats.


def _safetensors(header: object, values: bytes = bytes(16), length: int | None = None) -> Maker:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return written("a.safetensors", struct.pack("<Q", len(text) if length is None else length) + text + values)


def _one(dtype: str = "F32", shape: object = (4,), offsets: object = (0, 16), name: str = "w") -> dict[str, object]:
    return {name: {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


SAFETENSORS: dict[str, Maker] = {
    f"safetensors: {kind}": maker
    for kind, maker in {
        **{f"a header of {n} bytes": _safetensors(_one(), length=n) for n in (0, 1, 10**6, 2**39, 2**63)},
        **{f"a header {text[:9]!r}": _safetensors(text) for text in (
            b"{", b"{}", b"{" * 10**5, b"{\"w\":" * 10**4, b"{\"a\": NaN}", b"{\"\\ud800\": 1}", b"{\xff\xfe}",
            b"{\"w\": [" + b"[" * 10**5)},
        "a shape of 200 TB": _safetensors(_one(shape=(5 * 10**13,))),
        "200 TB by offsets, too": _safetensors(_one(shape=(5 * 10**13,), offsets=(0, 2 * 10**14))),
        "a shape beyond 64 bits": _safetensors(_one(shape=(2**63, 2**63))),
        "a negative shape": _safetensors(_one(shape=(-4,))),
        "no shape": _safetensors(_one(shape=None)),
        "a thousand axes": _safetensors(_one(shape=(1,) * 1000 + (4,))),
        "offsets beyond the file": _safetensors(_one(shape=(400,), offsets=(0, 1600))),
        "offsets in another order": _safetensors(_one(offsets=(16, 0))),
        "a hole": _safetensors(_one(offsets=(4, 20)), bytes(20)),
        "offsets that overlap": _safetensors(_one() | _one(name="v")),
        "bytes left over": _safetensors(_one(), bytes(100)),
        "bytes missing": _safetensors(_one(), bytes(8)),
        "a name of 100,000": _safetensors(_one(name="x" * 10**5)),
        "a name of points": _safetensors(_one(name="." * 10**5)),
        **{f"of type {dtype}": _safetensors(_one(dtype, (2,), (0, n))) for dtype, n in (
            ("F4", 1), ("F6_E2M3", 2), ("F8_E8M0", 2), ("C64", 16), ("BOOL", 2), ("X", 2), ("U64", 16))},
        **{f"facts {facts!r:.20}": _safetensors(_one() | {"__metadata__": facts}) for facts in (
            1, [], None, "x", {"a": 1}, {"facts": "no JSON"}, {"facts": "[" * 10**5}, {"facts": None})},
        "no values at all": _safetensors(_one(shape=(0, 2**62), offsets=(0, 0)), b""),
    }.items()
}  # fmt: skip


OTHERS: dict[str, Maker] = {
    f"a file of {kind}": written("a.pt", content + bytes(600))
    for kind, content in {
        "HDF5": b"\x89HDF\r\n\x1a\n", "gzip": b"\x1f\x8b\x08", "bzip2": b"BZh9", "xz": b"\xfd7zXZ\0",
        "zstd": b"\x28\xb5\x2f\xfd", "7z": b"7z\xbc\xaf'\x1c", "programs": b"\x7fELF", "JSON": b"{\"a\": 1}",
        "images": b"\x89PNG\r\n\x1a\n", "texts": b"step,loss\n", "GGUF": b"GGUF\x03", "NULs": bytes(9),
        "ONNX": b"\x08\x07\x12\x07pytorch", "nothing": b"", "numpy": b"\x93NUMPY\x01", "a zip's end": b"PK\x05\x06",
        "a zip's beginning": b"PK\x03\x04", "a pickle's beginning": b"\x80", "a pickle": b"\x80\x04.",
    }.items()
}  # fmt: skip


def _tar(folder: Path) -> Path:
    with tarfile.open(folder / "a.pt", "w") as archive:
        archive.addfile(tarfile.TarInfo("storages"))
    return folder / "a.pt"


def _index(weight_map: object, prepare: Callable[[Path], object] = lambda folder: None) -> Maker:
    def make(folder: Path) -> Path:
        save(folder / "good.safetensors", PLAIN)
        prepare(folder)
        text = weight_map if isinstance(weight_map, str) else json.dumps({"weight_map": weight_map})
        (folder / "model.safetensors.index.json").write_text(text)
        return folder / "model.safetensors.index.json"

    return make


INDICES: dict[str, Maker] = {
    **{f"an index of {name!r:.30}": _index({"w": name}) for name in (
        "..", "../good.safetensors", "/etc/passwd", "\0", "a\0b", "x" * 300, "", ".", "nowhere.pt",
        "a/../good.safetensors", "model.safetensors.index.json", 1, None, [], {})},
    **{f"an index that is {text[:9]!r}": _index(text) for text in (
        "", "{", "[]", "{}", "[" * 10**5, '{"weight_map": []}', '{"weight_map": 1}', '{"weight_map": {}}', "\0",
        "NaN")},
    "an index of a folder": _index({"w": "x"}, lambda folder: (folder / "x").mkdir()),
    "an index of a pipe": _index({"w": "x"}, lambda folder: os.mkfifo(folder / "x")),
    "an index of a device": _index({"w": "x"}, lambda folder: (folder / "x").symlink_to("/dev/zero")),
    "an index of what points nowhere": _index({"w": "x"}, lambda folder: (folder / "x").symlink_to("nowhere")),
    "an index of what points at itself": _index({"w": "x"}, lambda folder: (folder / "x").symlink_to("x")),
    "an index of a list": _index({"w": "x.pt"}, lambda folder: torch.save([ONES], folder / "x.pt")),
    "an index of another": _index({"w": "b.index.json"}, lambda folder: (folder / "b.index.json").write_text("{}")),
}  # fmt: skip


def _place(make: Callable[[Path], object], name: str = "a.pt") -> Maker:
    def placed(folder: Path) -> Path:
        make(folder / name)
        return folder / name

    return placed


PLACES: dict[str, Maker] = {
    "a folder": _place(Path.mkdir),
    "a pipe": _place(os.mkfifo),
    "a device": _place(lambda path: path.symlink_to("/dev/zero")),
    "nothing there": _place(lambda path: None),
    "a link to nothing": _place(lambda path: path.symlink_to("nowhere")),
    "a link to itself": _place(lambda path: path.symlink_to("a.pt")),
    "a name of 300": _place(lambda path: None, "x" * 300),
    "a name with NUL": _place(lambda path: None, "a\0b.pt"),
}

HOSTILE: dict[str, Maker] = {
    **{f"an archive, {kind}": maker for kind, maker in ARCHIVES.items()},
    **{f"a pickle: {kind}": maker for kind, maker in PICKLES.items()},
    **{f"saved: {kind}": saved(content) for kind, content in CONTENTS.items()},
    **{f"saved before 1.6: {kind}": saved(content, old=True) for kind, content in CONTENTS.items()},
    **SAFETENSORS,
    **ARRAYS,
    **OTHERS,
    "a tar archive": _tar,
    **INDICES,
    **PLACES,
}
"""What is wrong -> who writes it."""
