"""Parameters of reading other programs' checkpoints: where they are, and what in them is the network."""

import re
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator

from stages.checkpoint_paths import content_of, is_named, matching, names
from stages.errors import UsageError
from stages.params.base import Params


class CheckpointFiles(Params):
    """Checkpoints of one architecture, one or several networks in each file."""

    SECTION: ClassVar[str] = "zoo"
    """The section of a configuration that these parameters stand in, for messages."""
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
    ema: bool = False
    """Exponential moving average of the weights in place of the weights, where checkpoints hold both."""

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
    def place(self) -> str:
        """The parameter that says where the checkpoints are, with its value, for messages."""
        raise NotImplementedError

    def found(self) -> dict[str, Path]:
        """The checkpoints by their names, in natural order. Raises UsageError saying where if there are none."""
        raise NotImplementedError

    def paths(self) -> dict[str, Path]:
        """`found` but for the files that are skipped. Raises UsageError if none is left."""
        found = self.found()
        kept = {name: path for name, path in found.items() if not is_named(name, self.skip)}
        if not kept:
            raise UsageError(
                f"{self.SECTION}.skip: leaves out all {len(found)} files of {self.place}; narrow its patterns"
            )
        return kept

    def fingerprint(self) -> dict[str, Any]:
        """The parameters, and each file's name and content hash."""
        contents = {name: content_of(path) for name, path in self.paths().items()}
        return {**super().fingerprint(), "files": contents, "rename": list(self.rename.items())}


class FilePattern(CheckpointFiles):
    """Checkpoints that a shell pattern names."""

    files: str = Field(min_length=1)
    """Shell pattern of the checkpoints, e.g. `runs/*.safetensors` or `runs/**/*.pt`: safetensors, whatever `torch.save`
    wrote, .npz, or an index of shards, told apart by what they hold and read without running code."""

    @property
    def place(self) -> str:
        """The pattern of files."""
        return f"{self.SECTION}.files: {self.files}"

    def found(self) -> dict[str, Path]:
        """The checkpoints by their names, in natural order. Raises UsageError naming the pattern if there are none."""
        paths = matching(self.files)
        return dict(zip(names(self.files, paths), paths, strict=True))
