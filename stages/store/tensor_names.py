"""Names of tensors in checkpoints: wrappers, prefixes, and what torch or the user's program called them before."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from functools import cached_property

from torch import Tensor

from stages.checkpoint_paths import is_named

WRAPPER = re.compile(r"_orig_mod\.|_fsdp_wrapped_module\.|_checkpoint_wrapped_module\.")
"""Wrappers that compiling, sharding and checkpointing put into the names of a module's tensors."""
PARAMETRIZED = {"original0": "g", "original1": "v", "original": "orig", "0._u": "u", "0._v": "v"}
"""Endings of weight_norm's and spectral_norm's tensors: in `torch.nn.utils.parametrizations`, and in the older
`torch.nn.utils`, as in `conv.parametrizations.weight.original0` and `conv.weight_g`."""

Named = tuple[dict[str, Tensor], list[str]]
"""Tensors by name, and notes on what was changed."""


@dataclass(frozen=True)
class Naming:
    """How the names in a file become those of a network."""

    names: frozenset[str]
    """The network's."""
    rename: Mapping[str, str] = field(default_factory=dict)
    """Regular expressions -> what replaces them in a file's names."""
    ignore: tuple[str, ...] = ()
    """Patterns of a file's further tensors, which are left out."""

    def apply(self, tensors: Mapping[str, Tensor]) -> Named:
        """Tensors by the network's names as far as they have one, without those to ignore; and what was changed."""
        named, notes = dict(tensors), list[str]()
        for step in (self._replaced, self._unwrapped, self._without_prefix, self._of_this_version, self._kept):
            named, said = step(named)
            notes += said
        return named, notes

    @cached_property
    def _others(self) -> dict[str, str]:
        """Names that other versions of torch give the network's tensors -> their name in the network."""
        return {other: name for name in self.names for other in _other_names(name) if other not in self.names}

    def _replaced(self, named: dict[str, Tensor]) -> Named:
        """By the user's regular expressions; a name that another tensor has already is left as it was."""
        for old, new in self.rename.items():
            names = {name: re.sub(old, new, name) for name in named}
            counts = Counter(names.values())
            named = {names[name] if counts[names[name]] == 1 else name: tensor for name, tensor in named.items()}
        return named, []

    def _unwrapped(self, named: dict[str, Tensor]) -> Named:
        bare = {WRAPPER.sub("", name): tensor for name, tensor in named.items()}
        if bare.keys() == named.keys() or len(bare) != len(named) or any(map(WRAPPER.search, self.names)):
            return named, []
        return bare, [f"{min({m[0] for name in named for m in WRAPPER.finditer(name)})!r} dropped from names"]

    def _without_prefix(self, named: dict[str, Tensor]) -> Named:
        """Without the prefix that most names of the network have."""
        if not (prefix := _prefix(named, self.names | self._others.keys())):
            return named, []
        return {_removed(name, prefix, named): t for name, t in named.items()}, [f"prefix {prefix!r} dropped"]

    def _of_this_version(self, named: dict[str, Tensor]) -> Named:
        names = {other: name for other, name in self._others.items() if other in named and name not in named}
        notes = [f"{other!r} taken for {names[other]!r}{and_more(names)}" for other in sorted(names)[:1]]
        return {names.get(name, name): tensor for name, tensor in named.items()}, notes

    def _kept(self, named: dict[str, Tensor]) -> Named:
        left = [name for name in named if is_named(name, self.ignore)]
        notes = [f"{name!r}{and_more(left)} left out (zoo.ignore)" for name in left[:1]]
        return {name: tensor for name, tensor in named.items() if name not in left}, notes

    def patterns(self, extra: Sequence[str]) -> list[str]:
        """Few patterns that mean all of these names and none of the network's."""
        found: list[str] = []
        for name in extra:
            if not is_named(name, found):
                wider = (f"{name.partition('.')[0]}.*", f"*.{name.rpartition('.')[2]}")
                found.append(next((p for p in wider if self._suits(p, extra)), name))
        return found

    def _suits(self, pattern: str, extra: Sequence[str]) -> bool:
        several = sum(is_named(name, (pattern,)) for name in extra) > 1
        return several and not any(is_named(name, (pattern,)) for name in self.names)


def _prefix(named: Iterable[str], expected: Collection[str]) -> str:
    """The prefix of the network's names that most of a file's names have; may be empty."""
    counts: Counter[str] = Counter()
    for name in named:
        parts = name.split(".")
        for cut in range(len(parts)):
            if ".".join(parts[cut:]) in expected:
                counts["".join(f"{part}." for part in parts[:cut])] += 1
    return min(counts, key=lambda prefix: (-counts[prefix], len(prefix)), default="")


def _removed(name: str, prefix: str, names: Iterable[str]) -> str:
    """The name without the prefix, unless another tensor has that name already."""
    short = name.removeprefix(prefix)
    return name if short in names else short


def and_more(items: Sized) -> str:
    """How many there are beside the first, as the end of a message."""
    return f" (and {len(items) - 1} more)" if len(items) > 1 else ""


def _other_names(name: str) -> Iterator[str]:
    """Names of a tensor of weight_norm or spectral_norm in the other of torch's two versions of them."""
    for new, old in PARAMETRIZED.items():
        if found := re.fullmatch(rf"(.*?)parametrizations\.(\w+)\.{re.escape(new)}", name):
            yield f"{found[1]}{found[2]}_{old}"
        if found := re.fullmatch(rf"(.*\.|)([^.]+)_{old}", name):
            yield f"{found[1]}parametrizations.{found[2]}.{new}"
