"""Parameters of a zoo imported from the checkpoints of other programs."""

import glob
import hashlib
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

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


def matching(pattern: str) -> list[Path]:
    """The files that match a shell pattern, in natural order; `**` spans folders, `~` is the home folder.

    Raises UsageError naming the pattern and its absolute form if there are none.
    """
    absolute = str(Path(pattern).expanduser().absolute())
    paths = [Path(name) for name in glob.glob(absolute, recursive=True) if Path(name).is_file()]  # noqa: PTH207
    if not paths:
        hint = f"; it is a folder: write {pattern.rstrip('/')}/*.safetensors" if Path(absolute).is_dir() else ""
        raise UsageError(f"{pattern}: no such files (looked for {absolute}){hint}")
    return sorted(paths, key=_natural_order)


def _natural_order(path: Path) -> list[tuple[int, str]]:
    """Digits count as numbers: `run2` comes before `run10`."""
    parts = re.split(r"(\d+)", str(path))
    return [(int(part), "") if i % 2 else (-1, part) for i, part in enumerate(parts)]


def names(pattern: str, paths: Iterable[Path]) -> list[str]:
    """Each file's name below the pattern's fixed folder, so that a moved folder keeps its files' names."""
    parts = Path(pattern).expanduser().absolute().parts
    fixed = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    return [path.relative_to(Path(*parts[:fixed])).as_posix() for path in paths]


def content_of(path: Path) -> str:
    """The first 16 hex digits of a file's SHA-256, computed again only if its size or modification time changes."""
    facts = path.stat()
    return _content_of(path, facts.st_size, facts.st_mtime_ns)


@cache
def _content_of(path: Path, size: int, changed: int) -> str:
    del size, changed  # part of the cache's key
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
