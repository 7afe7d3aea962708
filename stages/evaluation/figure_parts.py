"""Parts of an evaluation's figures: curves, spectra, densities, and what was recorded or trained beside the sets."""

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A part of the figures; an unknown name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, use_attribute_docstrings=True)


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


class OtherGenerator(Part):
    """What was found among networks that another generator made, which were read from files."""

    read: int
    """Networks in the files."""
    not_finite: int
    """How many of them have weights that aren't finite; these are left out."""
    own_statistics: bool
    """Whether the others keep the BatchNorm statistics that they came with."""
    members: int
    """How many of the others are members: within 0.01 tau of one, relabelled to fit."""
    heldout: int
    """How many are held-out members."""
    repeated: int
    """How many repeat an earlier one of them."""


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
    """Mean score of a few held-out members (members, where there are none) rebuilt from members' first k directions."""

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
    """Mean loss half way to the reference less the mean of both ends, of a few members as trained, in nats or squared
    error, on validation data."""
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
    """Whether all of these members came back bit for bit, as they do unless units were rescaled."""
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
    """Root mean square distance of generated points from the training members' centre, over that of training members,
    in the flow's space."""


class Samples(Part):
    """Networks drawn during the fit, scored on validation data."""

    step: list[float]
    """Training steps done."""
    score: list[float]
    """Mean validation score."""
    score_std: list[float]
    """Population standard deviation of the scores over networks."""
    novelty: list[float]
    """Median distance to the nearest training member, in units of the members' own, between tensors' sorted values."""
    novel_and_performant: list[float]
    """Share in [0, 1] that reaches the members' 5 % quantile of validation scores at a `novelty` of 1 or more."""


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
