"""Parameters of stage 1 for a zoo that exists already, as checkpoints of other programs."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from stages.params.base import Params
from stages.params.dataset import Dataset
from stages.params.files import content_of, matching, names
from stages.params.network import Network

SHORT = ("model", "kwargs", "input", "vocabulary")
"""What `network: {kind: model, ...}` holds may stand in `zoo` itself."""


class ImportedZoo(Params):
    """Which checkpoints make up the zoo, and what network they are of."""

    source: Literal["checkpoints"]
    files: str = Field(min_length=1)
    """A shell pattern such as `runs/*.safetensors`; also .pt, .pth, .bin and .ckpt, read without running code."""
    network: Network
    dataset: Dataset | None = None
    """What the networks are evaluated on. None: figures that need data are left out."""
    members: int | None = Field(default=None, ge=2)
    """Networks that the flow may learn from: a random choice by `seed`. None: all that aren't held out."""
    heldout: int = Field(ge=2)
    """Further networks that the flow never sees, a random choice by `seed`."""
    ema: bool = False
    """Take the moving average that a checkpoint keeps of its weights instead of the weights."""
    shard_size: PositiveInt | None = None
    """Networks read and stored together, which bounds memory. None: as many as have a gigabyte of files."""
    seed: NonNegativeInt = 0

    @model_validator(mode="before")
    @classmethod
    def _network_in_short(cls, values: Any) -> Any:
        """`model`, `kwargs` and `input` beside `files` are the network's."""
        if not isinstance(values, dict) or not (short := {n: values[n] for n in SHORT if n in values}):
            return values
        if "network" in values:
            raise ValueError(f"{' and '.join(short)} beside network: both describe the network; keep one")
        rest = {name: value for name, value in values.items() if name not in SHORT}
        return {**rest, "network": {"kind": "model", **short}}

    def found(self) -> list[Path]:
        """The checkpoints in natural order. Raises UsageError saying where it looked if there are none."""
        return matching(self.files)

    def fingerprint(self) -> dict[str, Any]:
        """The parameters with each file's name and content in the place of the pattern."""
        paths = self.found()
        contents = dict(zip(names(self.files, paths), map(content_of, paths), strict=True))
        return {**super().fingerprint(), "files": contents}

    def below(self, folder: Path) -> "ImportedZoo":
        """With the pattern, if relative, below a folder."""
        return self.model_copy(update={"files": str(folder / Path(self.files).expanduser())})
