"""Stand-ins for other programs' objects while a pickled checkpoint is read, so that none of these is made.

`torch.load(weights_only=True)` refuses a file for any name that isn't allowed. The names below occur beside the weights
in files that people have: numbers, settings, paths and dates. None of what they mean is called: each is read as one of
the classes here, which keep nothing, or the values of an array. So the list may grow, but never by what a whole module
or a function is pickled as: such a file isn't a state dict, and is refused by name.
"""

import re
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

CODE = re.compile(r"[biufc]\d+")
"""Numpy's types of numbers."""
Order = Literal["<", ">", "="]
ORDERS: dict[str, Order] = {"<": "<", ">": ">", "=": "=", "|": "="}
"""Numpy's byte orders; a single byte, `|`, has none."""


class Ignored:
    """An object that says nothing about weights; whatever it was made of is dropped."""

    def __new__(cls, *_: object) -> "Ignored":
        """Take any arguments."""
        return super().__new__(cls)

    def __init__(self, *_: object) -> None:
        """Take any arguments."""

    def __setstate__(self, _: object) -> None:
        """Take any state."""


class PlainDict:
    """A dictionary with further abilities, read as one without."""

    def __new__(cls, *_: object) -> Any:
        """An empty dict, which is then filled."""
        return {}


def no_bytes(*_: object) -> bytes:
    """What pickles of protocol 2 call `bytes` for, an empty array's content."""
    return b""


class ArrayType:
    """A numpy dtype."""

    def __init__(self, code: object = "", *_: object) -> None:
        self.code = str(code)
        self.order: Order = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """`(version, byte order, ...)`; what follows is for types that aren't numbers."""
        self.order = ORDERS[state[1]]


class Array:
    """A numpy array; empty unless it holds numbers."""

    def __init__(self, *_: object) -> None:
        self.values = np.empty(0)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """`(version, shape, dtype, Fortran order, bytes)`."""
        _, shape, kind, by_columns, raw = state
        if isinstance(kind, ArrayType) and CODE.fullmatch(kind.code) and isinstance(raw, bytes):
            dtype = np.dtype(kind.code).newbyteorder(kind.order)
            self.values = np.ndarray(shape, dtype, raw, order="F" if by_columns else "C").astype(kind.code)


STAND_INS: dict[str, Callable[..., Any]] = {
    "numpy.dtype": ArrayType,
    "numpy.ndarray": Array,
    **{f"numpy.{core}.multiarray._reconstruct": Array for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": Ignored for core in ("core", "_core")},
    "argparse.Namespace": Ignored,
    "types.SimpleNamespace": Ignored,
    "collections.defaultdict": PlainDict,
    **{f"datetime.{name}": Ignored for name in ("date", "datetime", "time", "timedelta", "timezone")},
    **{
        f"{module}.{kind}Path": Ignored
        for module in ("pathlib", "pathlib._local")
        for kind in ("Posix", "PurePosix", "Windows", "PureWindows")
    },
    **{
        f"{package}.AttributeDict": PlainDict  # Lightning's hyperparameters
        for package in (
            "pytorch_lightning.utilities.parsing",
            "lightning.pytorch.utilities.parsing",
            "lightning_fabric.utilities.data",
            "lightning.fabric.utilities.data",
        )
    },
    **{
        f"omegaconf.{name}": Ignored
        for name in (
            "dictconfig.DictConfig",
            "listconfig.ListConfig",
            "base.ContainerMetadata",
            "base.Metadata",
            "nodes.AnyNode",
        )
    },
    "typing.Any": Ignored,
    "builtins.bytes": no_bytes,
    "builtins.dict": PlainDict,
    "builtins.list": Ignored,
}
"""The name of what was pickled -> what it is read as."""
