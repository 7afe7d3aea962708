"""Sets of named tensors in what a checkpoint holds, each by its place: the keys that lead there."""

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor

from stages.store.checkpoint_formats import as_tensor
from stages.store.state_dicts import Expected

AVERAGED = re.compile(r"(?:^|_)(?:ema|EMA|swa|SWA|shadow)(?![a-z])")
"""Names under which programs keep a moving average of weights, such as `ema`, `model_ema` and `state_dict_ema`."""

Sets = dict[str, dict[str, Tensor]]
"""Place -> tensors by name; places have dots between their keys, and are empty at the top level."""


def sets_in(content: Any, expected: Expected) -> Sets:
    """All sets but those of optimizers; a moving average beside weights, and networks side by side, are split off."""
    return {
        place: tensors
        for outer, found in _sets(content)
        for inner, part in _without_average(found)
        for place, tensors in _side_by_side(joined(outer, inner), part, expected)
    }


def sets_under(sets: Sets, key: str) -> Sets:
    """The sets at a place or below it; a set itself is divided if the place ends in a prefix of its tensors' names."""
    if found := {place: t for place, t in sets.items() if fnmatchcase(place, key) or fnmatchcase(place, f"{key}.*")}:
        return found
    for place, tensors in sets.items():
        prefix = key.removeprefix(f"{place}.") if key.startswith(f"{place}.") or not place else ""
        if prefix and (below := _below(tensors, f"{prefix}.")):
            return {key: below}
    return {}


def joined(place: str, name: object) -> str:
    """A place below another one."""
    return ".".join(str(part) for part in (place, name) if part != "")


def unnamed_in(content: Any, place: str = "") -> Iterator[str]:
    """Places of lists of tensors without names."""
    if isinstance(content, list | tuple) and content and all(isinstance(value, Tensor) for value in content):
        yield place
    for name, value in content.items() if isinstance(content, Mapping) else ():
        if "optim" not in str(name):
            yield from unnamed_in(value, joined(place, name))


def _sets(content: Any, place: str = "") -> Iterator[tuple[str, dict[str, Tensor]]]:
    """The mappings that hold tensors, the innermost first."""
    if not isinstance(content, Mapping | list | tuple):
        return
    items: list[tuple[Any, Any]] = [*(content.items() if isinstance(content, Mapping) else enumerate(content))]
    inner = [part for name, value in items if "optim" not in str(name) for part in _sets(value, joined(place, name))]
    yield from inner
    named = {name: as_tensor(value) for name, value in items if isinstance(name, str)}
    tensors = {name: tensor for name, tensor in named.items() if tensor is not None}
    if tensors and not (inner and all(tensor.ndim == 0 for tensor in tensors.values())):  # scores beside networks
        yield place, tensors


def _without_average(tensors: dict[str, Tensor]) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """The weights, and by the first part of its names their average; a network may call a layer of its own `ema`."""
    averaged = {name for name in tensors if AVERAGED.search(name.partition(".")[0])}
    rest = {name: tensor for name, tensor in tensors.items() if name not in averaged}
    known = {*rest, *(name.partition(".")[2] for name in rest)}
    average = _dotted({name.partition(".")[2]: tensors[name] for name in tensors if name in averaged}, known)
    if average and {name for name, tensor in average.items() if tensor.ndim} <= known:
        yield "", rest
        yield min(averaged).partition(".")[0], {name: average[name] for name in average if name in known}
    else:
        yield "", tensors


def _dotted(average: dict[str, Tensor], known: set[str]) -> dict[str, Tensor]:
    """An average by the weights' names, which latent diffusion writes without dots."""
    names = {name.replace(".", ""): name for name in known}
    if not any(name in names and name not in known for name in average):
        return average
    return {names.get(name, name): tensor for name, tensor in average.items()}


def _side_by_side(
    place: str, tensors: dict[str, Tensor], expected: Expected
) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """The set, or one set a prefix if there are several prefixes with a whole network below them."""
    prefixes = expected.prefixes(tensors)
    if len(prefixes) < 2:
        yield place, tensors
        return
    for prefix in prefixes:
        yield joined(place, prefix.rstrip(".")), _below(tensors, prefix)


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
