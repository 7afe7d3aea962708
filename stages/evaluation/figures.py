"""The figures of an evaluation, as figures.json holds them: written by evaluate, read by everything that shows them."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from stages.errors import Damaged
from stages.params.dataset import Dataset
from stages.params.network import Network
from stages.store.files import read_json, write_json

SCHEMA = 5
FILE = "figures.json"


class Part(BaseModel):
    """A part of the figures; an unknown name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, use_attribute_docstrings=True)


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
    """The mean score is within one standard deviation of the held-out members'."""
    new: bool | None = None
    """Median distance at least 0.9 of the held-out members', mean max IoU at most 0.05 above theirs."""
    better_than_baselines: bool | None = None
    """A higher score, by two standard errors, than any baseline at the same distance from the members."""
    indistinguishable: bool | None = None
    """No interval of the classifiers' AUC against held-out members lies above 0.5."""


class Frontier(Part):
    """The best baseline at each distance from the members, as far as any gets."""

    distance: list[float]
    """In tau."""
    score: list[float]
    """The best baseline's mean score at each distance."""
    name: list[str]
    """Which baseline it is."""


class Gain(Part):
    """The generated networks' mean score less the best baseline's at their own distance."""

    at: float
    """Median distance of the generated networks, in tau."""
    gain: float | None = None
    """In units of the score; None where no baseline gets as far."""
    error: float | None = None
    """Standard error of the gain."""
    rival: str | None = None
    """The best baseline."""


class Spectrum(Part):
    """Variances along the members' principal directions."""

    variance: list[float]
    """Descending."""
    effective_rank: float
    """Exponential of the entropy of the normalized spectrum (Roy and Vetterli 2007)."""
    networks: int
    """Members that the directions were made from."""


class Histograms(Part):
    """Densities of each tensor's values, by tensor, over bins that span the members' values."""

    edges: dict[str, list[float]]
    """Edges of the bins, one more than there are bins."""
    members: dict[str, list[float]]
    """Densities over all members."""
    generated: dict[str, list[float]]
    """Densities over all generated networks."""


class Filters(Part):
    """Incoming weights of the first layer's units as images, [units, channels * side * side]."""

    side: int
    """Height and width in pixels."""
    tensor: str
    """Name of the first layer's weights."""
    members: list[list[float]]
    """Of the first member."""
    generated: list[list[float]]
    """Of the first generated network."""


class Flatness(Part):
    """How far the members' spectrum is from flat."""

    ev0_over_median: float
    """The largest variance over the median one."""
    effective_rank: float
    """Exponential of the entropy of the normalized spectrum (Roy and Vetterli 2007)."""
    k: int
    """Principal directions in all."""


class RoundTrip(Part):
    """Mean score of held-out members rebuilt from the members' first k principal directions."""

    k: list[int]
    """Numbers of principal directions, ascending."""
    raw: list[float]
    """Of members as they were trained."""
    aligned: list[float]
    """Of members in canonical form."""


class Canonicalization(Part):
    """What canonicalizing did to members: their scores on test data before and after, and the loss barrier."""

    spectrum: Flatness
    """How far the members' variances along principal directions are from equal."""
    barrier_before: float | None = None
    """Loss barrier to the reference of members as trained, in nats or squared error, on validation data."""
    barrier_after: float | None = None
    """The same of members in canonical form."""
    score_before: float | None = None
    """Mean test score of a few members as they were trained."""
    score_after: float | None = None
    """The same in canonical form."""
    score_undone: float | None = None
    """The same once brought back."""
    largest_change: float | None = None
    """Of any single member's score."""
    bit_exact: bool | None = None
    """Whether all members came back bit for bit."""
    pca_round_trip: RoundTrip | None = None
    """Scores of members rebuilt from fewer principal directions."""


class Alignment(Part):
    """Each member's L2 distance to the reference network, and what alignment did to outputs."""

    distance_before: list[float]
    """As trained, one value per member."""
    distance_after: list[float]
    """Once aligned."""
    largest_output_gap: float
    """Largest change of an output, relative to the largest output."""
    unpermuted: list[str] = []
    """What no permutation was derived for, and why."""


class Curves(Part):
    """The fit by checks, every `fit.check_every_steps` steps."""

    step: list[float]
    """Training steps done."""
    loss: list[float]
    """Flow-matching loss on training members."""
    heldout_loss: list[float]
    """The same loss on held-out members."""
    dispersion: list[float]
    """Spread of generated points over that of training members; below 0.8 the flow is collapsing."""


class Samples(Part):
    """Networks drawn during the fit, scored on validation data."""

    step: list[float]
    """Training steps done."""
    score: list[float]
    """Mean validation score."""
    score_std: list[float]
    """Population standard deviation of the scores over networks."""
    novelty: list[float]
    """Median distance to a training member, in units of the members' own."""
    novel_and_performant: list[float]
    """Share in [0, 1]."""


class ScoreCurve(Part):
    """Test scores along further training, over networks."""

    mean: list[float]
    """Mean at every step or epoch."""
    std: list[float]
    """Population standard deviation over networks."""


class FineTuning(Part):
    """Test scores after further training on the zoo's own data."""

    steps: list[int]
    """Training steps after which networks were scored."""
    networks: int
    """Networks per kind of start."""
    sets: dict[str, ScoreCurve]
    """Scores by the kind of start: generated, members, soup, fresh."""


class Transfer(Part):
    """Test scores on another data set, as networks are and after training on it."""

    dataset: str
    """The other data set."""
    epochs: list[int]
    """Epochs after which networks were scored."""
    networks: int
    """Networks per kind of start."""
    new_head: bool
    """Whether the output layer was drawn anew, since the classes differ in number."""
    sets: dict[str, ScoreCurve]
    """Scores by the kind of start: generated, members, fresh."""


class Figures(Part):
    """All that an evaluation measured; null or absent where something wasn't."""

    schema_version: Annotated[Literal[5], Field(alias="schema")] = SCHEMA
    """Version of this structure."""
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
    score: Literal["accuracy", "spearman"] | None = None
    """What scores are; 1 is perfect for both."""
    bar: float | None = None
    """The score from which a network counts as performant: the `bar_quantile` of the members' test scores."""
    tolerance: float = 0.0
    """Largest absolute error that isn't a mistake: 0 for classes, the members' median error in a regression."""
    bar_quantile: float = 0.05
    """Quantile of the members' test scores, in [0, 1], that `bar` is."""
    tau: float | None = None
    """The members' own median L2 distance to the nearest other member, relabelled to fit."""
    zoo: ZooSize | None = None
    """How many networks there are to compare with."""
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
        write_json(folder / FILE, self.model_dump(mode="json", by_alias=True))


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
