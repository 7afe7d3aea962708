"""Sources of generated networks, a module each: drawn from the fitted flow, or files of another generator."""

from importlib import import_module
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
from torch import Tensor

from stages.context import Context
from stages.params.sample import Sample
from stages.sampling.completion import Completion
from stages.store.refs import Ref
from stages.store.weights import Weights


@runtime_checkable
class Networks(Protocol):
    """Generated networks, made or read some at a time."""

    batch: int
    """How many are made together, the unit of resumption."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def rows(self, start: int, stop: int) -> Tensor:
        """Networks `start` to `stop`, complete: [networks, values], parameters before buffers."""
        ...

    @property
    def attrs(self) -> dict[str, Any]:
        """What their store says of them: `canonical`, and whatever else evaluate has to know."""
        ...

    @property
    def facts(self) -> dict[str, np.ndarray]:
        """What is known of each network, [networks] by name."""
        ...

    @property
    def summary(self) -> dict[str, Any]:
        """What to add to the stage's summary, once all are made."""
        ...


@runtime_checkable
class Source(Protocol):
    """The module of one source of generated networks, such as `stages.sampling.sources.flow`."""

    def open_networks(
        self, params: Any, packed: Weights, fitted: Ref | None, complete: Completion, ctx: Context
    ) -> Networks:
        """The networks that the parameters ask for, beside these packed members."""
        ...


def source_of(params: Sample) -> Source:
    """The module of the networks' source, imported by name.

    `Params.modules` names it too, so that the key of sample covers its own source and no other.
    """
    return cast(Source, import_module(f"stages.sampling.sources.{params.source}"))
