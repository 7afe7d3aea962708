"""Parameters of a zoo imported from the checkpoints of other programs."""

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from stages.checkpoint_paths import content_of, is_named, matching, names
from stages.errors import UsageError
from stages.params.base import Params
from stages.params.dataset import Dataset
from stages.params.network import Network

SHORT = ("model", "kwargs", "input", "vocabulary")
"""Fields of `network: {kind: model, ...}` that may stand in `zoo` itself."""


class ImportedZoo(Params):
    """A zoo of networks that other programs trained, one per checkpoint."""

    source: Literal["checkpoints"]
    """Origin of the zoo: `checkpoints`, files that other programs wrote."""
    files: str = Field(min_length=1)
    """Shell pattern of the checkpoints, e.g. `runs/*.safetensors` or `runs/**/*.pt`: safetensors, whatever `torch.save`
    wrote, .npz, or an index of shards, told apart by what they hold and read without running code."""
    skip: tuple[str, ...] = ()
    """Patterns of files (or of networks within a file, `zoo.pt:0003`) that are left out, e.g. [`*_last.ckpt`]."""
    key: str | None = Field(default=None, min_length=1)
    """Where in a file the network is, e.g. `netG`, `ema.model` or the prefix `student.`; with `*`, each match is a
    network of its own. None: found by the usual names and by what fits `network`."""
    rename: dict[str, str] = Field(default_factory=dict)
    """Regular expressions and what replaces them in the names of tensors, one after the other, e.g.
    {`^backbone\\.`: `features.`}."""
    ignore: tuple[str, ...] = ()
    """Patterns of tensors that aren't part of `network` and are left out, e.g. [`criterion.*`, `*.inv_freq`]."""
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

    @field_validator("rename")
    @classmethod
    def _are_expressions(cls, rename: dict[str, str]) -> dict[str, str]:
        for old, new in rename.items():
            try:
                re.sub(old, new, "")
            except (re.error, IndexError) as error:
                raise ValueError(
                    f"{old!r}: {new!r} isn't a regular expression and its replacement ({error})"
                ) from error
        return rename

    @property
    def datasets(self) -> dict[str, Dataset]:
        """The data set by its name; empty if there is none."""
        return {self.dataset.name: self.dataset} if self.dataset else {}

    def modules(self) -> tuple[str, ...]:
        """Also the module that reads the checkpoints."""
        return (f"stages.members.sources.{self.source}", *super().modules())

    def __hash__(self) -> int:
        """Equal parameters have equal hashes; a dict has none."""
        return hash(self.model_dump_json())

    def paths(self) -> dict[str, Path]:
        """`found` but for the files that are skipped. Raises UsageError if none is left."""
        found = self.found()
        kept = {name: path for name, path in found.items() if not is_named(name, self.skip)}
        if not kept:
            raise UsageError(f"zoo.skip: leaves out all {len(found)} files of {self.files}; narrow its patterns")
        return kept

    def found(self) -> dict[str, Path]:
        """The checkpoints by their names, in natural order. Raises UsageError naming the pattern if there are none."""
        paths = matching(self.files)
        return dict(zip(names(self.files, paths), paths, strict=True))

    def fingerprint(self) -> dict[str, Any]:
        """The parameters, with each file's name and content hash in the place of the pattern."""
        contents = {name: content_of(path) for name, path in self.paths().items()}
        return {**super().fingerprint(), "files": contents, "rename": list(self.rename.items())}

    def below(self, folder: Path) -> "ImportedZoo":
        """A copy whose pattern, if relative, is below a folder."""
        return self.model_copy(update={"files": str(folder / Path(self.files).expanduser())})
