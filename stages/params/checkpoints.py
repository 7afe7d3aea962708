"""Parameters of a zoo imported from the checkpoints of other programs."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from stages.params.base import Params
from stages.params.dataset import Dataset
from stages.params.files import content_of, matching, names
from stages.params.network import Network

SHORT = ("model", "kwargs", "input", "vocabulary")
"""Fields of `network: {kind: model, ...}` that may stand in `zoo` itself."""


class ImportedZoo(Params):
    """A zoo of networks that other programs trained, one per checkpoint."""

    source: Literal["checkpoints"]
    """Origin of the zoo: `checkpoints`, files that other programs wrote."""
    files: str = Field(min_length=1)
    """Shell pattern of the checkpoints, e.g. `runs/*.safetensors`; also .pt, .pth, .bin and .ckpt, read without running
    code."""
    network: Network
    """Architecture of the checkpoints; `model`, `kwargs`, `input` and `vocabulary` may also stand in `zoo` itself."""
    dataset: Dataset | None = None
    """Data set that the networks are evaluated on. None: figures that need data are left out."""
    members: int | None = Field(default=None, ge=2)
    """Number of checkpoints that the flow may be trained on, a random choice by `seed`. None: all others."""
    heldout: int = Field(ge=2)
    """Number of further checkpoints that the flow never sees, a random choice by `seed`."""
    ema: bool = False
    """Exponential moving average of the weights in place of the weights, where checkpoints hold both."""
    shard_size: PositiveInt | None = None
    """Networks read and stored together, which bounds memory. None: as many as make one GiB of files, 500 at most."""
    seed: NonNegativeInt = 0
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

    @property
    def datasets(self) -> dict[str, Dataset]:
        """The data set by its name; empty if there is none."""
        return {self.dataset.name: self.dataset} if self.dataset else {}

    def modules(self) -> tuple[str, ...]:
        """Also the module that reads the checkpoints."""
        return (f"stages.members.sources.{self.source}", *super().modules())

    def paths(self) -> list[Path]:
        """The checkpoints in natural order. Raises UsageError naming the pattern if there are none."""
        return matching(self.files)

    def fingerprint(self) -> dict[str, Any]:
        """The parameters, with each file's name and content hash in the place of the pattern."""
        paths = self.paths()
        contents = dict(zip(names(self.files, paths), map(content_of, paths), strict=True))
        return {**super().fingerprint(), "files": contents}

    def below(self, folder: Path) -> "ImportedZoo":
        """A copy whose pattern, if relative, is below a folder."""
        return self.model_copy(update={"files": str(folder / Path(self.files).expanduser())})
