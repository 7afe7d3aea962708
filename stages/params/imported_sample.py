"""Parameters of the networks of another generator, which stand in the place of the flow's."""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from stages.params.base import below
from stages.params.checkpoint_files import FilePattern
from stages.params.network import BatchNorm


class ImportedSample(FilePattern):
    """Networks that another generator made, of the zoo's architecture, in files that a pattern names."""

    SECTION: ClassVar[str] = "sample"
    source: Literal["checkpoints"]
    """Origin of the networks: `checkpoints`, files that another generator wrote; no flow is fitted then."""
    batchnorm: BatchNorm | Literal["own"] = BatchNorm()
    """Re-estimation of BatchNorm statistics, of these networks and of all others alike; `own` keeps those that came
    with these networks, while members and baselines are re-estimated."""
    keep_fraction: float = Field(default=1.0, gt=0, le=1)
    """Fraction in (0, 1] that these networks are of all that were drawn, if their generator kept those with the lowest
    loss on training data. Baselines are selected in the same way."""
    condition: dict[str, str | float] = Field(default_factory=dict)
    """What the networks are of; in a zoo of several data sets {dataset: mnist} says which is theirs."""

    def modules(self) -> tuple[str, ...]:
        """Also the module that reads the networks."""
        return (f"stages.sampling.sources.{self.source}", *super().modules())

    def below(self, folder: Path) -> "ImportedSample":
        """A copy whose pattern, if relative, is below a folder."""
        return super().below(folder).model_copy(update={"files": below(folder, self.files)})
