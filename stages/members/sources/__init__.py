"""Sources of a zoo's members, a module each: trained here, or checkpoints of other programs."""

from importlib import import_module
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
from torch import Tensor, nn

from stages.context import Context
from stages.members.data import Data
from stages.members.shards import Shard
from stages.params.zoo import Zoo
from stages.store.weights import Shards

Members = tuple[Tensor, dict[str, np.ndarray]]
"""Rows [members, parameters], and facts about each member: `seed` (-1: unknown), `attempt`, `split` (`train` or
`held-out`), `initialisation` and `dataset` (`unknown`: none), and whatever else the source knows."""


@runtime_checkable
class Source(Protocol):
    """The module of one source of members, such as `stages.members.sources.train`."""

    def shards(self, params: Any) -> list[Shard]:
        """The zoo's members, held-out ones last, cut into shards."""
        ...

    def make(self, params: Any, shard: Shard, module: nn.Module, data: Data, ctx: Context) -> Members:
        """The members of one shard. Shards may be made side by side."""
        ...

    def summarize(self, params: Any, zoo: Shards) -> dict[str, Any]:
        """What to add to the finished zoo's summary; raises UsageError if a check that needs all members fails."""
        ...


def source_of(params: Zoo) -> Source:
    """The module of the zoo's source, imported by name.

    `Params.modules` names it too, so that the zoo's key covers its own source and no other.
    """
    return cast(Source, import_module(f"stages.members.sources.{params.source}"))
