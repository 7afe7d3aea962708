"""Checkpoints that nobody should get: by hand, of every format, each wrong in one way."""

import io
import json
import os
import pickle
import struct
import tarfile
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from foreign_checkpoints import save, trained

PLAIN = dict(trained(0).state_dict())
TENSOR = "5.bias"
"""The tensor [3] that is another one in many of the files below."""
Maker = Callable[[Path], Path]
"""Writes a file, or more, below a folder, and says which is the checkpoint."""


def _written(name: str, content: bytes) -> Maker:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def _saved(content: object, *, old: bool = False) -> Maker:
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


def _zipped(entries: Iterable[tuple[str, bytes]], method: int = zipfile.ZIP_STORED, name: str = "a.pt") -> Maker:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", method) as archive:
        warnings.simplefilter("ignore")  # two of a name
        for entry, content in entries:
            archive.writestr(entry, content)
    return _written(name, buffer.getvalue())


def _changed(**changes: bytes | None) -> Maker:
    """With the content of entries, by the last part of their names, replaced or left out."""
    entries = {name: changes.get(name.rpartition("/")[2], content) for name, content in _entries().items()}
    return _zipped((name, content) for name, content in entries.items() if content is not None)


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
        f"packed by method {method}": _zipped(_entries().items(), method)
        for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    },
    "a bomb": _zipped([*_entries().items(), ("a/data/99", BOMB)], zipfile.ZIP_DEFLATED),
    "a bomb beside": _zipped([*_entries().items(), ("beside", BOMB)], zipfile.ZIP_DEFLATED),
    "a bomb of arrays": _zipped([("w.npy", BOMB)], zipfile.ZIP_DEFLATED, "a.npz"),
    "two entries of a name": _zipped([*_entries().items(), *list(_entries().items())[:1]]),
    "no entries": _zipped([]),
    "10,000 entries": _zipped((f"a/data/{i}", b"") for i in range(10_000)),
    "entries above": _zipped([("../../a/data.pkl", b"x"), ("/etc/data.pkl", b"x")]),
    "an entry of a long name": _zipped([("x" * 60_000, b"")]),
    "data.pkl is a folder": _zipped([("a/data.pkl/x", b""), ("a/version", b"3\n")]),
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
        ("size, of zip64", 24, b"\xff\xff\xff\xff"), ("offset", 42, b"\0\0\0\0"), ("far offset", 42, b"\xff\xff\xff\x7f"),
        ("method", 10, b"\x08\0"), ("unknown method", 10, b"\x63\0"), ("password", 8, b"\x01\0"))},
    **{f"another local {what}": _poked(b"PK\x03\x04", at, put, last=False) for what, at, put in (
        ("name", 30, b"zzz"), ("length of a name", 26, b"\xff\xff"), ("method", 8, b"\x08\0"), ("sign", 0, b"PK\x09\x09"))},
    **{f"another end: {at}": _poked(b"PK\x05\x06", at, b"\xff\xff") for at in (8, 10, 12, 16, 20)},
}  # fmt: skip


# Pickles, put together by opcodes.


def _text(text: str) -> bytes:
    content = text.encode()
    return b"X" + struct.pack("<I", len(content)) + content


def _number(number: int) -> bytes:
    content = number.to_bytes(number.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(content)]) + content


def _tuple(numbers: Iterable[int]) -> bytes:
    return b"(" + b"".join(map(_number, numbers)) + b"t"


def _tensor(
    shape: Iterable[int] = (3,), stride: Iterable[int] = (1,), *, offset: int = 0, count: int = 3, key: str = "0",
    kind: str = "FloatStorage", place: str = "cpu",
) -> bytes:  # fmt: skip
    storage = (
        b"(" + _text("storage") + f"ctorch\n{kind}\n".encode() + _text(key) + _text(place) + _number(count) + b"tQ"
    )
    rest = _number(offset) + _tuple(shape) + _tuple(stride) + b"\x89ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + rest + b"tR"


def _pickled(code: bytes, whole: bool = False) -> Maker:
    """An archive whose pickle sets `w` to what the opcodes make, or is made of them alone."""
    content = code if whole else b"\x80\x02}" + _text("w") + code + b"s."
    entries = {"data.pkl": content, "byteorder": b"little", "data/0": b"\0\0\x80?" * 3, "version": b"3\n"}
    return _zipped((f"a/{name}", entry) for name, entry in entries.items())


def _calls(name: str, argument: bytes = b"") -> bytes:
    module, _, function = name.rpartition(".")
    return f"c{module}\n{function}\n(".encode() + argument + b"tR"


PICKLES: dict[str, Maker] = {
    **{kind: _pickled(code) for kind, code in {
        "storage beyond its record": _tensor(count=64),
        "storage beyond the file": _tensor(count=10**9),
        "storage of 200 TB": _tensor(count=5 * 10**13),
        "storage of no bytes": _tensor(count=0),
        "storage of negative size": _tensor(count=-1),
        "storage of a huge number": _tensor(count=2**200),
        "storage that is not there": _tensor(key="7"),
        "storage above": _tensor(key="../../../../etc/passwd"),
        "storage of no name": _tensor(key="\0"),
        "storage of an unknown kind": _tensor(kind="NoStorage"),
        "storage that is a function": _tensor(kind="load"),
        "200 TB by strides": _tensor((5 * 10**13,), (0,)),
        "10^18 by strides": _tensor((10**9, 10**9), (0, 0)),
        "more than there are": _tensor((2**62, 2**62), (0, 0)),
        "a shape beyond the storage": _tensor((10**6,), (1,)),
        "an offset beyond the storage": _tensor(offset=10**6),
        "a negative offset": _tensor(offset=-1),
        "a negative shape": _tensor((-3,)),
        "a negative stride": _tensor(stride=(-1,)),
        "more strides than axes": _tensor((3,), (1, 1)),
        "fewer strides than axes": _tensor((3, 1), (1,)),
        "a thousand axes": _tensor((1,) * 1000, (1,) * 1000),
        "on another device": _tensor(place="cuda:99"),
        "on no device": _tensor(place="\0"),
        "an array of nothing": _calls("numpy._core.multiarray._reconstruct"),
        "a huge bytearray": _calls("builtins.bytearray", _number(2**50)),
        "a bytearray of 8 GB": _calls("builtins.bytearray", _number(2**33)),
        "an unknown persistent id": _number(7) + b"Q",
        "a persistent id of nothing": b"(tQ",
        "what isn't there": b"h\x07",
        "an unknown opcode": b"\xff",
        "an unknown extension": b"\x82\x01",
        "a text longer than the file": b"X\xff\xff\xff\x7fabc",
        "a text of no encoding": b"X\x04\0\0\0\xff\xfe\xfd\xfc",
        "a number longer than the file": b"\x8b\xff\xff\xff\x7f1",
        "an empty stack": b"0000000",
        "a dict of one": b"(" + _number(1) + b"d",
        "a key that is a list": b"}]" + _number(1) + b"s",
    }.items()},
    **{f"calls {name}": _pickled(_calls(name, _text("true"))) for name in (
        "os.system", "posix.system", "subprocess.Popen", "builtins.eval", "builtins.exec", "builtins.getattr",
        "builtins.__import__", "builtins.open", "torch.load", "torch.hub.load", "numpy.load", "operator.attrgetter",
        "functools.partial", "importlib.import_module", "pickle.loads", "runpy.run_path", "webbrowser.open",
        "torch.jit.load", "torch.nn.modules.linear.Linear", "torch.serialization.add_safe_globals", "x" * 5000 + ".y")},
    **{f"a whole pickle: {kind}": _pickled(code, whole=True) for kind, code in {
        "no end": b"\x80\x02}", "none": b"", "of nothing": b"\x80\x02N.", "of protocol 9": b"\x80\x09N.",
        "of a number": b"\x80\x02K\x01.", "of a text": b"\x80\x02" + _text("x" * 10_000) + b".",
        "100,000 marks": b"\x80\x02" + b"(" * 10**5 + b".", "lists in lists": b"\x80\x02" + b"]" * 10**5 + b"a" * 10**5,
        "100,000 lists in lists": b"\x80\x02" + b"]" * 10**5 + b"a" * (10**5 - 1) + b"."}.items()},
    **{f"a bare pickle of protocol {protocol}": _written("a.pkl", pickle.dumps(PLAIN | {"x": 1}, protocol))
       for protocol in range(6)},
}  # fmt: skip


def _within_itself(kind: type[Any]) -> Any:
    value = kind()
    value.append(value) if isinstance(value, list) else value.update(x=value)
    return {**PLAIN, "x": value}


def _nested(depth: int, wrap: Callable[[Any], Any]) -> Any:
    value: Any = PLAIN
    for _ in range(depth):
        value = wrap(value)
    return value


def _odd(make: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: {**PLAIN, TENSOR: make()}


ONES = torch.ones(3)
CONTENTS: dict[str, object] = {
    **{f"{kind.__name__} within itself": lambda kind=kind: _within_itself(kind) for kind in (dict, list, OrderedDict)},
    "a dict 200 deep": lambda: _nested(200, lambda value: {"x": value}),
    "lists 200 deep": lambda: _nested(200, lambda value: [value]),
    "lists of the same lists": lambda: _nested(60, lambda value: [value, value]),
    "dicts of the same dicts": lambda: _nested(60, lambda value: {"a": value, "b": value}),
    **{f"a name that is {what}": {**PLAIN, name: ONES} for what, name in (
        ("long", "x" * 10**6), ("all points", "." * 10**6), ("empty", ""), ("NUL", "\0"), ("of lines", "a\nb\n" * 200),
        ("900 long", "y" * 900), ("hidden", "\u202e5.bias"))},
    **{f"a key that is {key!r:.20}": {"model": PLAIN, "x": {key: ONES}} for key in (
        None, -1, 2**70, float("nan"), b"x", (1, 2), ((((1,),),),), True)},
    "10,000 sets": lambda: {f"{chr(97 + i % 26) * (i // 26 + 1):.900}": {"w": ONES} for i in range(2600)},
    **{kind: _odd(make) for kind, make in {
        "a tensor without values": lambda: torch.empty(3, device="meta"),
        "a parameter without values": lambda: torch.nn.Parameter(torch.empty(3, device="meta")),
        "sparse": lambda: ONES.to_sparse(),
        "sparse by rows": lambda: torch.eye(3).to_sparse_csr(),
        "sparse by columns": lambda: torch.eye(3).to_sparse_csc(),
        "sparse by blocks": lambda: torch.eye(4).to_sparse_bsr((2, 2)),
        "quantized": lambda: torch.quantize_per_tensor(ONES, 0.1, 0, torch.qint8),
        "quantized by channel": lambda: torch.quantize_per_channel(ONES, ONES.double(), torch.zeros(3).long(), 0, torch.quint8),
        "nested": lambda: torch.nested.nested_tensor([ONES, ONES]),
        "nested and jagged": lambda: torch.nested.nested_tensor([ONES, ONES], layout=torch.jagged),
        "no values": lambda: torch.empty(0),
        "no values, of many axes": lambda: torch.empty(10**9, 0, 10**9),
        "one value for all": lambda: torch.zeros(1).expand(10**12),
        "complex": lambda: ONES.to(torch.complex64),
        "conjugate": lambda: ONES.to(torch.complex64).conj(),
        "whole numbers": lambda: ONES.long(),
        "bits": lambda: ONES.to(torch.uint8).view(torch.bits8),
        "half bytes": lambda: ONES.to(torch.uint8).view(torch.float4_e2m1fn_x2),
        "truth": lambda: ONES.bool(),
        "NaN": lambda: ONES * float("nan"),
        "beyond float32": lambda: ONES.double() * 1e300,
        "a text": lambda: "x" * 10**5,
        "a list": lambda: [1.0, 2.0, 3.0],
        "an array of texts": lambda: np.array(["a", "b", "c"]),
        "an array of objects": lambda: np.array([1, None, "x"], dtype=object),
        "a number of more than 64 bits": lambda: 2**1000,
    }.items()},
    "a stack of 10^9": lambda: {name: t.expand(10**9, *t.shape) for name, t in PLAIN.items()},
}  # fmt: skip


# Files of the other formats.


def _safetensors(header: object, values: bytes = bytes(16), length: int | None = None) -> Maker:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return _written("a.safetensors", struct.pack("<Q", len(text) if length is None else length) + text + values)


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


def _npy(header: str, values: bytes = bytes(16), version: int = 1) -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(text)) + text + values


def _described(dtype: str = "<f4", shape: str = "(4,)") -> str:
    return f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}}}"


ARRAYS: dict[str, Maker] = {
    **{f"npz: {kind}": _zipped([("w.npy", content)], name="a.npz") for kind, content in {
        "a shape beyond its values": _npy(_described(shape="(400,)")),
        "a shape of 200 TB": _npy(_described(shape="(50000000000000,)")),
        "a shape beyond 64 bits": _npy(_described(shape="(10**30,)")),
        "a huge shape": _npy(_described(shape=f"({10**30},)")),
        "a negative shape": _npy(_described(shape="(-4,)")),
        "a shape that is a text": _npy(_described(shape="'x'")),
        "objects": _npy(_described("|O")), "fields": _npy(_described("<f4,<i4")), "dates": _npy(_described("<M8[s]")),
        "texts": _npy(_described("<U1")), "texts of 4 GB": _npy(_described("<U1000000000")), "of nothing": _npy(_described("|V0")),
        "a type that isn't one": _npy(_described("nothing")), "no header": b"\x93NUMPY", "another version": _npy("{}", version=9),
        "code in the header": _npy("__import__('os').system('true')"), "an open header": _npy("{'descr':"),
        "brackets": _npy("(" * 5000), "a long header": _npy(" " * 60_000, version=2), "no array": b"x" * 100, "nothing": b"",
    }.items()},
    "npz: changed": _zipped([("w.npy", _npy(_described()))], zipfile.ZIP_DEFLATED, "a.npz"),
}  # fmt: skip

OTHERS: dict[str, Maker] = {
    f"a file of {kind}": _written("a.pt", content + bytes(600))
    for kind, content in {
        "HDF5": b"\x89HDF\r\n\x1a\n", "gzip": b"\x1f\x8b\x08", "bzip2": b"BZh9", "xz": b"\xfd7zXZ\0", "zstd": b"\x28\xb5\x2f\xfd",
        "7z": b"7z\xbc\xaf'\x1c", "programs": b"\x7fELF", "images": b"\x89PNG\r\n\x1a\n", "JSON": b"{\"a\": 1}", "texts": b"step,loss\n",
        "GGUF": b"GGUF\x03", "ONNX": b"\x08\x07\x12\x07pytorch", "nothing": b"", "NULs": bytes(9), "numpy": b"\x93NUMPY\x01",
        "a zip's beginning": b"PK\x03\x04", "a zip's end": b"PK\x05\x06", "a pickle's beginning": b"\x80", "a pickle": b"\x80\x04.",
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
        "..", "../good.safetensors", "/etc/passwd", "\0", "a\0b", "x" * 300, "", ".", "nowhere.pt", "a/../good.safetensors",
        "model.safetensors.index.json", 1, None, [], {})},
    **{f"an index that is {text[:9]!r}": _index(text) for text in (
        "", "{", "[]", "{}", "[" * 10**5, '{"weight_map": []}', '{"weight_map": 1}', '{"weight_map": {}}', "\0", "NaN")},
    "an index of a folder": _index({"w": "x"}, lambda folder: (folder / "x").mkdir()),
    "an index of a pipe": _index({"w": "x"}, lambda folder: os.mkfifo(folder / "x")),
    "an index of a device": _index({"w": "x"}, lambda folder: (folder / "x").symlink_to("/dev/zero")),
    "an index of what points nowhere": _index({"w": "x"}, lambda folder: (folder / "x").symlink_to("nowhere")),
    "an index of what points at itself": _index({"w": "x"}, lambda folder: (folder / "x").symlink_to("x")),
    "an index of a list": _index({"w": "x.pt"}, lambda folder: torch.save([ONES], folder / "x.pt")),
    "an index of another index": _index({"w": "b.index.json"}, lambda folder: (folder / "b.index.json").write_text("{}")),
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
    **{f"saved: {kind}": _saved(content) for kind, content in CONTENTS.items()},
    **{f"saved before 1.6: {kind}": _saved(content, old=True) for kind, content in CONTENTS.items()},
    **SAFETENSORS,
    **ARRAYS,
    **OTHERS,
    "a tar archive": _tar,
    **INDICES,
    **PLACES,
}
"""What is wrong -> who writes it."""
