"""The figures of an evaluation, as figures.json holds them: written by evaluate, read by everything that shows them."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from stages.errors import Damaged
from stages.evaluation.figure_parts import (
    Alignment,
    Canonicalization,
    Curves,
    Filters,
    FineTuning,
    Frontier,
    Gain,
    Histograms,
    OtherGenerator,
    Part,
    Samples,
    Spectrum,
    Transfer,
)
from stages.params.dataset import Dataset
from stages.params.network import Network
from stages.store.files import write_json
from stages.store.sealed import read_json

SCHEMA = 6
Readable = Literal[5, 6]
"""Schema 6 brought `ood`, and Brier scores and outliers to ensembles; figures of schema 5 lack them, and are read."""
FILE = "figures.json"


class Summary(Part):
    """A quantity that every network of a set has, over the networks."""

    mean: float
    """Mean over the networks."""
    std: float
    """Population standard deviation."""
    min: float
    """Smallest."""
    max: float
    """Largest."""
    p10: float
    """Quantile at 0.1."""
    p50: float
    """Median."""
    p90: float
    """Quantile at 0.9."""


class SetFigures(BaseModel):
    """One set of networks: its facts, its networks' own values, and by name every metric that was measured of it.

    Metrics are read as `metric.of(entry)`, which gives None where it wasn't measured.
    """

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)

    role: Literal["members", "held-out", "generated", "baseline"]
    """What kind of networks they are."""
    family: str | None = None
    """Which baseline it is, at whatever level; None for the other roles."""
    any_strength: bool = False
    """Whether the baseline can be had at any strength in between the measured levels."""
    networks: int
    """How many were measured."""
    points: dict[str, list[int] | list[float]] = Field(default_factory=dict)
    """Values of the first networks by metric, for plots; figures.zarr has those of all networks."""


class ZooSize(Part):
    """How many networks there are to compare with; a set's `networks` are those that were measured."""

    members: int
    """Members that the flow learned from."""
    heldout: Annotated[int, Field(alias="held-out")]
    """Members that it never saw."""


class Verdict(Part):
    """Answers about the generated networks; None: not measured, or too few networks to say."""

    accurate: bool | None = None
    """The mean score is at least the held-out members' mean less one standard deviation of theirs."""
    new: bool | None = None
    """The median distance to the nearest member is at least 0.9 of the held-out members', and the mean max IoU, if
    there are test data, at most 0.05 above theirs. Unanswered where held-out members lie within 0.1 tau themselves, or
    another generator's networks are some of them."""
    better_than_baselines: bool | None = None
    """The mean score is higher, by more than two standard errors, than that of every baseline that gets as far from the
    members: of noise and interpolation read between their levels, of others from 0.95 of the distance on. Unanswered
    where none gets as far."""
    indistinguishable: bool | None = None
    """No 97.5 % interval of a classifier's AUC against held-out members, by weights or by outputs, lies above 0.5.
    Unanswered where another generator's networks are held-out members."""


class Figures(Part):
    """All that an evaluation measured; null or absent where something wasn't."""

    schema_version: Annotated[Readable, Field(alias="schema")] = SCHEMA
    """Version of this structure."""
    warnings: tuple[str, ...] = ()
    """What to know before the figures are trusted, one line each."""
    dataset: Dataset | None = None
    """The data set that networks were scored on."""
    condition: dict[str, str | float] = Field(default_factory=dict)
    """What the flow was conditioned on."""
    network: Network | None = None
    """The architecture."""
    parameters: int | None = None
    """Values per network."""
    test_examples: int | None = None
    """Test examples that networks were scored on."""
    ood: Dataset | None = None
    """The data set whose examples ensembles were to tell from test examples."""
    inputs: str | None = None
    """What networks are given of a value x of the data set, such as `(x - 5) / 6` or `as they are`."""
    imported: bool = False
    """Whether other programs trained the members, on examples that aren't known."""
    score: Literal["accuracy", "spearman"] | None = None
    """What scores are; 1 is perfect for both."""
    bar: float | None = None
    """The score from which a network counts as performant: the `bar_quantile` of the members' test scores."""
    tolerance: float = 0.0
    """Largest absolute error that isn't a mistake: 0 for classes, the members' median error in a regression."""
    bar_quantile: float = 0.05
    """Quantile of the members' test scores, in [0, 1], that `bar` is."""
    tau: float | None = None
    """The members' own median aligned distance to the nearest other member, of another run where there is a `group`."""
    group: str | None = None
    """The fact about members that tells training runs apart: members of one run are not compared with one another."""
    relabelled: bool = True
    """Whether aligned distances are the least L2 found with networks relabelled to fit; otherwise rows are as they
    are."""
    zoo: ZooSize | None = None
    """How many networks there are to compare with."""
    generator: OtherGenerator | None = None
    """What was found among the generated networks, if another generator made them; absent for the flow's."""
    verdict: Verdict = Verdict()
    """Answers about the generated networks."""
    sets: dict[str, SetFigures] = Field(default_factory=dict)
    """By name, in the order of the report."""
    frontier: Frontier | None = None
    """The best baseline at each distance from the members."""
    gain_over_baselines: Gain | None = None
    """The generated networks against the best baseline at their distance."""
    spectrum: Spectrum | None = None
    """Variances along the members' principal directions."""
    histograms: Histograms | None = None
    """Densities of the values of each tensor."""
    filters: Filters | None = None
    """Weights of the first layer as images, where it looks at images."""
    canonicalization: Canonicalization | None = None
    """Effects of canonicalization on members."""
    alignment: Alignment | None = None
    """Distances of members to the reference."""
    curves: Curves | None = None
    """Losses and dispersion during the fit."""
    watched: Samples | None = None
    """Scores of networks drawn during the fit."""
    finetuning: FineTuning | None = None
    """Scores along fine-tuning on the zoo's own data."""
    transfer: list[Transfer] = Field(default_factory=list)
    """Scores on other data sets, one entry for each."""

    def write(self, folder: Path) -> None:
        """Write figures.json. Raises ValueError on NaN and infinity, which JSON doesn't have."""
        absent = {"generator"} if self.generator is None else None
        write_json(folder / FILE, self.model_dump(mode="json", by_alias=True, exclude=absent))


def read_figures(folder: Path) -> Figures:
    """The figures of an evaluation.

    Raises Damaged naming the file, the place in it and what was expected if it isn't of this schema.
    """
    try:
        return Figures.model_validate(read_json(folder / FILE))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise Damaged(f"{folder / FILE}: {where}: {first['msg']}; run evaluate again") from error


def json_of(part: BaseModel) -> dict[str, JsonValue]:
    """A part as JSON has it."""
    return part.model_dump(mode="json", by_alias=True)
