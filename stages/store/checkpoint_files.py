"""Checkpoints of other programs: their tensors, out of whatever wraps them, read without running code of theirs."""

import pickle
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stages.errors import Damaged, UsageError
from stages.store.checkpoints import load_tensors

PICKLED = (".pt", ".pth", ".bin", ".ckpt")
"""Endings of what `torch.save` wrote; the other format is `.safetensors`."""
USUAL = ("state_dict", "model_state_dict", "model", "net", "network", "weights")
"""Names under which programs keep a network's weights, the likeliest first."""
AVERAGED = re.compile(r"(^|_)ema(_|$)")
"""Names under which they keep the weights' moving average, such as `ema`, `model_ema` and `state_dict_ema`."""

Where = tuple[str, ...]
"""The keys that lead to a set of tensors."""


@dataclass(frozen=True)
class Checkpoint:
    """One network's tensors as the file names them, and a few words on what was taken and what was left."""

    tensors: dict[str, Tensor]
    notes: tuple[str, ...] = ()


def read_checkpoint(path: Path, ema: bool = False) -> Checkpoint:
    """The weights in a file, or their moving average.

    Raises UsageError if the file can't be read without running code of its own, or doesn't say which tensors are
    meant, and Damaged if it isn't whole.
    """
    if path.suffix == ".safetensors":
        content: Any = load_tensors(path)[0]
    elif path.suffix in PICKLED:
        content = _unpickled(path)
    else:
        raise UsageError(f"{path}: not a checkpoint by its name; expected .safetensors, {', '.join(PICKLED)}")
    sets = dict(_sets(content)) if isinstance(content, Mapping) else {}
    if not sets:
        raise UsageError(f"{path}: holds no named tensors ({type(content).__name__}); save model.state_dict()")
    return _chosen(path, sets, ema)


def _unpickled(path: Path) -> Any:
    """What `torch.save` wrote, as far as that is plain data."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if (named := re.search(r"(?:GLOBAL|class) (\S+)", str(error))) is None:
            raise Damaged(f"{path}: not a whole checkpoint ({_first_line(error)})") from error
        raise UsageError(
            f"{path}: refused, as reading its {named[1]} would run code that comes with the file; where you trust it, "
            "load it and write torch.save(model.state_dict(), ...) or safetensors instead"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
        if "TorchScript" in str(error):
            raise UsageError(f"{path}: a TorchScript program, refused; save model.state_dict() instead") from error
        raise Damaged(f"{path}: not a whole checkpoint ({_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


def _sets(content: Mapping[Any, Any], where: Where = ()) -> Iterator[tuple[Where, dict[str, Tensor]]]:
    """The innermost mappings of tensors, without an optimizer's; a moving average beside weights is split off."""
    inner = [
        part
        for name, value in content.items()
        if isinstance(value, Mapping) and "optim" not in str(name)
        for part in _sets(value, (*where, str(name)))
    ]
    if inner:
        yield from inner
        return
    tensors = {name: value for name, value in content.items() if isinstance(name, str) and isinstance(value, Tensor)}
    averaged = {name for name in tensors if AVERAGED.search(name.partition(".")[0])}
    average = {name.partition(".")[2]: tensors[name] for name in tensors if name in averaged}
    rest = {name: value for name, value in tensors.items() if name not in averaged}
    if average and average.keys() <= {*rest, *(name.partition(".")[2] for name in rest)}:
        yield where, rest
        yield (*where, min(averaged).partition(".")[0]), average
    elif tensors:  # a network may call a layer of its own `ema`
        yield where, tensors


def _chosen(path: Path, sets: Mapping[Where, dict[str, Tensor]], ema: bool) -> Checkpoint:
    averages = [where for where in sets if any(AVERAGED.search(name) for name in where)]
    plain = [where for where in sets if where not in averages]
    wanted, other = (averages, plain) if ema else (plain, averages)
    if not wanted:
        here = "only a moving average" if other and not ema else "no moving average (ema)"
        raise UsageError(f"{path}: holds {here}, under {_listed(other)}; set zoo.ema: {str(not ema).lower()}")
    where = _likeliest(path, wanted)
    notes = [f"taken from {'.'.join(where)!r}"] if where else []
    if averages and not ema:
        notes.append(f"moving average under {_listed(averages)} left aside (zoo.ema: true takes it)")
    return Checkpoint(sets[where], tuple(notes))


def _likeliest(path: Path, wanted: list[Where]) -> Where:
    if len(wanted) == 1:
        return wanted[0]
    for name in USUAL:
        if len(fitting := [where for where in wanted if name in where]) == 1:
            return fitting[0]
    raise UsageError(f"{path}: holds several sets of tensors, {_listed(wanted)}; save the one you mean in its own file")


def _listed(sets: list[Where]) -> str:
    return ", ".join(repr(".".join(where)) if where else "the file's top level" for where in sets)
