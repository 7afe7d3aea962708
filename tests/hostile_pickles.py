"""What checkpoints of torch.save hold, each wrong in one way: opcodes, and objects that pickle writes."""

import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from hostile_archives import PLAIN, TENSOR, Maker, written, zipped

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
    return zipped((f"a/{name}", entry) for name, entry in entries.items())


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
    **{f"a bare pickle of protocol {protocol}": written("a.pkl", pickle.dumps(PLAIN | {"x": 1}, protocol))
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
    "a thousand sets": lambda: {chr(97 + i % 26) * (i // 26 + 1): {"w": ONES} for i in range(1000)},
    **{kind: _odd(make) for kind, make in {
        "a tensor without values": lambda: torch.empty(3, device="meta"),
        "a parameter without values": lambda: torch.nn.Parameter(torch.empty(3, device="meta")),
        "sparse": lambda: ONES.to_sparse(),
        "sparse by rows": lambda: torch.eye(3).to_sparse_csr(),
        "sparse by columns": lambda: torch.eye(3).to_sparse_csc(),
        "sparse by blocks": lambda: torch.eye(4).to_sparse_bsr((2, 2)),
        "quantized": lambda: torch.quantize_per_tensor(ONES, 0.1, 0, torch.qint8),
        "quantized by channel": lambda: torch.quantize_per_channel(ONES, ONES, torch.zeros(3), 0, torch.qint8),
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
