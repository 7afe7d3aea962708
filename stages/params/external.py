"""Parameters that all zoos of networks trained elsewhere share."""

from typing import Any

from pydantic import Field, PositiveInt, field_validator, model_validator

from stages.params.base import Params, Seed
from stages.params.dataset import Dataset
from stages.params.network import Network
from stages.params.where import Condition, parse_condition

SHORT = ("model", "kwargs", "input", "vocabulary")
"""Fields of `network: {kind: model, ...}` that may stand in `zoo` itself."""


class ExternalZoo(Params):
    """A zoo of networks that other programs trained."""

    source: Any  # each source's own literal, which is also the name of its module in `stages.members.sources`
    network: Network
    """Architecture of the networks; `model`, `kwargs`, `input` and `vocabulary` may also stand in `zoo` itself."""
    dataset: Dataset | None = None
    """Data set that the networks are evaluated on. None: figures that need data are left out."""
    members: int | None = Field(default=None, ge=2)
    """Number of networks that the flow may be trained on, a random choice by `seed`. None: all others."""
    heldout: int = Field(ge=2)
    """Number of further networks that the flow never sees, a random choice by `seed`."""
    where: tuple[str, ...] = ()
    """Conditions on facts that a member must fulfil, e.g. ["step == 86", "test_accuracy > 0.3"]; one whose fact isn't
    known doesn't."""
    categories: tuple[str, ...] = ()
    """Facts that are kept as text though they look like numbers, such as the number of a class."""
    group: str | None = None
    """Fact that tells training runs apart: all checkpoints of a run are learned from, or all are held out, and none is
    the other's neighbour. None: each network is a run of its own."""
    shard_size: PositiveInt | None = None
    """Networks read and stored together, which bounds memory. None: as many as make one GiB of files, 500 at most."""
    seed: Seed = 0
    """Seed of the split into members and held-out members."""

    @model_validator(mode="before")
    @classmethod
    def _network_in_short(cls, values: Any) -> Any:
        """Move the fields of SHORT into `network`."""
        if not isinstance(values, dict) or not (short := {n: values[n] for n in SHORT if n in values}):
            return values
        if "network" in values:
            raise ValueError(f"{' and '.join(short)} beside network: both describe the network; keep one")
        rest = {name: value for name, value in values.items() if name not in SHORT}
        return {**rest, "network": {"kind": "model", **short}}

    @field_validator("where")
    @classmethod
    def _readable(cls, where: tuple[str, ...]) -> tuple[str, ...]:
        for condition in where:
            parse_condition(condition)
        return where

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """`where`, parsed."""
        return tuple(map(parse_condition, self.where))

    @property
    def datasets(self) -> dict[str, Dataset]:
        """The data set by its name; empty if there is none."""
        return {self.dataset.name: self.dataset} if self.dataset else {}

    def modules(self) -> tuple[str, ...]:
        """Also the module that reads the networks."""
        return (f"stages.members.sources.{self.source}", *super().modules())
