"""Parameters of a zoo imported from the checkpoints of other programs."""

from pathlib import Path
from typing import Any, Literal

from pydantic import field_validator

from stages.checkpoint_paths import content_of
from stages.params.base import below
from stages.params.checkpoint_files import CheckpointFiles, FilePattern
from stages.params.external import ExternalZoo
from stages.params.facts import METADATA, FactTable, name_pattern


class CheckpointZoo(ExternalZoo, CheckpointFiles):
    """A zoo of networks in checkpoints, one or several in each file."""

    def __hash__(self) -> int:
        """Equal parameters have equal hashes; a dict has none."""
        return hash(self.model_dump_json())


class ImportedZoo(CheckpointZoo, FilePattern):
    """A zoo of networks that other programs trained, in files that a pattern names."""

    source: Literal["checkpoints"]
    """Origin of the zoo: `checkpoints`, files that other programs wrote."""
    facts: str | FactTable | None = None
    """Where facts about the networks stand: in the names of files, by a pattern such as
    `mnist_png_{split}_{label}_{index}` or a regular expression with named groups; in a `table`; or `metadata`, the
    headers of safetensors. None: nowhere."""

    __hash__ = CheckpointZoo.__hash__

    @field_validator("facts")
    @classmethod
    def _readable_facts(cls, facts: str | FactTable | None) -> str | FactTable | None:
        if isinstance(facts, str) and facts != METADATA:
            name_pattern(facts)
        return facts

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
