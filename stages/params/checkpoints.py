"""Parameters of a zoo imported from the checkpoints of other programs."""

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from stages.checkpoint_paths import content_of, is_named, matching, names
from stages.errors import UsageError
from stages.params.base import below
from stages.params.external import ExternalZoo
from stages.params.facts import METADATA, FactTable, name_pattern


class CheckpointZoo(ExternalZoo):
    """A zoo of networks in checkpoints, one or several in each file."""

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

    def __hash__(self) -> int:
        """Equal parameters have equal hashes; a dict has none."""
        return hash(self.model_dump_json())

    def paths(self) -> dict[str, Path]:
        """`found` but for the files that are skipped. Raises UsageError if none is left."""
        found = self.found()
        kept = {name: path for name, path in found.items() if not is_named(name, self.skip)}
        if not kept:
            raise UsageError(f"zoo.skip: leaves out all {len(found)} files of {self.place}; narrow its patterns")
        return kept

    def fingerprint(self) -> dict[str, Any]:
        """The parameters, and each file's name and content hash."""
        contents = {name: content_of(path) for name, path in self.paths().items()}
        return {**super().fingerprint(), "files": contents, "rename": list(self.rename.items())}


class ImportedZoo(CheckpointZoo):
    """A zoo of networks that other programs trained, in files that a pattern names."""

    source: Literal["checkpoints"]
    """Origin of the zoo: `checkpoints`, files that other programs wrote."""
    files: str = Field(min_length=1)
    """Shell pattern of the checkpoints, e.g. `runs/*.safetensors` or `runs/**/*.pt`: safetensors, whatever `torch.save`
    wrote, .npz, or an index of shards, told apart by what they hold and read without running code."""
    facts: str | FactTable | None = None
    """Where facts about the networks stand: in the names of files, by a pattern such as
    `mnist_png_{split}_{label}_{index}` or a regular expression with named groups; in a `table`; or `metadata`, the
    headers of safetensors. None: nowhere."""

    @field_validator("facts")
    @classmethod
    def _readable_facts(cls, facts: str | FactTable | None) -> str | FactTable | None:
        if isinstance(facts, str) and facts != METADATA:
            name_pattern(facts)
        return facts

    @property
    def place(self) -> str:
        """The pattern of files."""
        return f"zoo.files: {self.files}"

    def found(self) -> dict[str, Path]:
        """The checkpoints by their names, in natural order. Raises UsageError naming the pattern if there are none."""
        paths = matching(self.files)
        return dict(zip(names(self.files, paths), paths, strict=True))

    def fingerprint(self) -> dict[str, Any]:
        """The parameters, with the content of files in the place of their names, and that of the table of facts."""
        values = super().fingerprint()
        if isinstance(self.facts, FactTable):
            values["facts"] = [self.facts.file, content_of(Path(self.facts.table))]
        return values

    def below(self, folder: Path) -> "ImportedZoo":
        """A copy whose paths, if relative, are below a folder."""
        facts = self.facts
        if isinstance(facts, FactTable):
            facts = facts.model_copy(update={"table": below(folder, facts.table)})
        return super().below(folder).model_copy(update={"files": below(folder, self.files), "facts": facts})
