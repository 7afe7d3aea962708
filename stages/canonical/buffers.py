"""The buffers of a zoo's networks: those that all members share, and those that are each network's own."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from stages.errors import UsageError
from stages.nets.normalisation import running_statistics
from stages.nets.spectral_norm import singular_vector_names
from stages.store.weights import Shards


@dataclass(frozen=True)
class StoredBuffers:
    """A zoo's stored buffers, apart from running statistics: those that all members share, and those they don't."""

    constants: dict[str, Tensor]
    """Values [...] by name, equal in all members, such as sinusoidal positions."""
    own: tuple[str, ...]
    """Names of those that differ, and that follow from each network's weights."""


def stored_buffers(members: Shards, module: nn.Module) -> StoredBuffers:
    """Tell the buffers apart by the members' values.

    Raises UsageError naming one that differs between members and that nothing gives a generated network.
    """
    names = [slot.name for slot in members.layout.slots if slot.buffer and slot.name not in running_statistics(module)]
    first = {name: value[0] for name, value in members.parts[0].buffers().items()} if names else {}
    differing = _first_to_differ(members, {name: first[name] for name in names})
    for name in (name for name in differing if name not in singular_vector_names(module)):
        raise UsageError(
            f"canonicalize: buffer {name!r} differs between members, first in {differing[name]}, and is "
            "no running statistic, so nothing would give generated networks one that fits; make it an nn.Parameter of "
            "zoo.network, which is generated (its name in checkpoints stays), or fold it into the weights before saving"
        )
    return StoredBuffers({name: first[name] for name in names if name not in differing}, tuple(differing))


def _first_to_differ(members: Shards, values: Mapping[str, Tensor]) -> dict[str, str]:
    """Buffer -> the first member that has other values; without the buffers that have these values in all of them."""
    differing: dict[str, str] = {}
    for part in members.parts if values else ():
        buffers = part.buffers()
        for name in values.keys() - differing.keys():
            differs = (buffers[name] != values[name]).reshape(len(part), -1).any(1)
            if differs.any():
                differing[name] = part.names[int(differs.nonzero()[0])]
    return {name: differing[name] for name in values if name in differing}
