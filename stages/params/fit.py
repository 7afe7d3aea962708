"""Parameters of stage 4, and the paper's settings as presets."""

from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from stages.params.base import Params

PRESETS: dict[str, dict[str, Any]] = {
    # DeepWeightFlow's released settings for MNIST and Fashion-MNIST MLPs (constants.json at commit eeb79fd).
    "paper_mlp": {
        "space": {"kind": "pca", "components": 99, "whiten": False},
        "velocity": {"hidden": 512, "time_dim": 64, "dropout": 0.1},
        "source": {"std": 0.01, "relative": False},
        "path_noise_std": 0.001,
        "steps": 30_000,
        "batch": 8,
        "optimizer": {"kind": "adamw", "lr": 5e-4, "final_lr": 1e-6, "betas": (0.9, 0.95), "weight_decay": 1e-5},
        "ema_decay": 0.0,
    },
    # The same source, Iris: raw weights, a smaller time embedding, more dropout.
    "paper_iris": {
        "space": {"kind": "raw"},
        "velocity": {"hidden": 128, "time_dim": 4, "dropout": 0.4},
        "source": {"std": 0.01, "relative": False},
        "path_noise_std": 0.001,
        "steps": 30_000,
        "batch": 8,
        "optimizer": {"kind": "adamw", "lr": 5e-4, "final_lr": 1e-6, "betas": (0.9, 0.95), "weight_decay": 1e-5},
        "ema_decay": 0.0,
    },
}


class Raw(Params):
    """Rows as they are."""

    kind: Literal["raw"] = "raw"


class Pca(Params):
    """Coordinates along the principal components of the training members."""

    kind: Literal["pca"] = "pca"
    components: PositiveInt | None = None
    """None: all that carry variance, one less than there are training members."""
    whiten: bool = True
    """Divide each coordinate by its standard deviation."""


class NeuronTokens(Params):
    """Every unit's weights together, and those between two units by themselves; see `stages.flow.spaces.tokens`."""

    kind: Literal["tokens"] = "tokens"


class Velocity(Params):
    """The paper's network: widths h, h/2, h."""

    kind: Literal["mlp"] = "mlp"
    hidden: int = Field(ge=2)
    time_dim: PositiveInt = 64
    dropout: float = Field(default=0.1, ge=0, lt=1)


class TokenVelocity(Params):
    """Attention over units, blind to their order; needs `space: {kind: tokens}`."""

    kind: Literal["tokens"] = "tokens"
    width: PositiveInt = 128
    depth: PositiveInt = 4
    heads: PositiveInt = 4
    pair_width: PositiveInt = 32
    """Width of what is told about each pair of units, where there are any: networks with more than one hidden layer."""

    @model_validator(mode="after")
    def _divisible(self) -> "TokenVelocity":
        if self.width % self.heads:
            raise ValueError(f"heads must divide width, but {self.heads} doesn't divide {self.width}")
        return self


class Source(Params):
    """Noise at t = 0, independent in every coordinate."""

    law: Literal["gaussian", "uniform", "laplace"] = "gaussian"
    """The distribution's shape; all have the same standard deviation."""
    std: PositiveFloat = 1.0
    relative: bool = True
    """Whether `std` is in units of the data's root mean square."""


class Uniform(Params):
    """t uniform on [0, 1]."""

    kind: Literal["uniform"] = "uniform"


class Beta(Params):
    """t from a Beta distribution."""

    kind: Literal["beta"] = "beta"
    alpha: PositiveFloat = 2.0
    beta: PositiveFloat = 5.0


class Optimizer(Params):
    """What all optimizers have: a cosine schedule, and AdamW's settings."""

    lr: PositiveFloat = 1e-3
    final_lr: NonNegativeFloat = 1e-6
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: NonNegativeFloat = 1e-5
    warmup: float = Field(default=0.0, ge=0, lt=1)
    """Share of all steps in which the learning rate rises."""


class AdamW(Optimizer):
    """Loshchilov and Hutter, arXiv 1711.05101."""

    kind: Literal["adamw"] = "adamw"


class Muon(Optimizer):
    """Matrices take orthogonalized steps as long as AdamW's (Liu et al., arXiv 2502.16982), all else AdamW's own."""

    kind: Literal["muon"] = "muon"
    momentum: float = Field(default=0.95, ge=0, lt=1)


class FitParams(Params):
    """How the flow is trained."""

    space: Annotated[Raw | Pca | NeuronTokens, Field(discriminator="kind")] = Pca()
    velocity: Annotated[Velocity | TokenVelocity, Field(discriminator="kind")]
    coupling: Literal["independent", "networks", "units"] = "independent"
    """Which noise goes with which member: any; the batch's reordered to lie nearest to the batch's members; or each one
    with its units reordered to lie nearest to the member's units, which needs `space: {kind: tokens}`."""
    condition: tuple[Literal["initialisation", "validation_score", "validation_loss", "dataset"], ...] = ()
    """Facts about each member that the flow is told, for `sample.condition`."""
    condition_dropout: float = Field(default=0.1, ge=0, le=1)
    """How often it isn't told, so that it also learns to go without, and guidance has something to move away from. Of
    several facts it is told any choice otherwise, so that networks can be asked for by some; 0: always all."""
    source: Source = Source()
    path_noise_std: NonNegativeFloat = 0.0
    """Standard deviation of the noise added along the path."""
    time: Annotated[Uniform | Beta, Field(discriminator="kind")] = Uniform()
    steps: PositiveInt
    batch: PositiveInt
    optimizer: Annotated[AdamW | Muon, Field(discriminator="kind")] = AdamW()
    ema_decay: float = Field(default=0.999, ge=0, lt=1)
    """Decay of the weights' moving average, which is what sampling uses; 0 uses the last weights."""
    checkpoint: Literal["last", "heldout"] = "last"
    """`heldout` keeps the weights with the lowest loss on held-out members instead of the last ones."""
    check_every_steps: PositiveInt = 500
    """Steps between held-out losses, dispersions and checkpoints."""
    patience_checks: PositiveInt | None = None
    """Stop after so many checks without a lower held-out loss. None: never before the last step."""
    eval_samples: NonNegativeInt = 16
    """Networks drawn ten times during a fit, to score them on validation data and look whether they are new; 0: none."""
    max_memory_gib: PositiveFloat = 4.0
    """GiB of members held in memory; more are read from the store as they are needed. The result is the same."""
    output_loss_weight: NonNegativeFloat = 0.0
    """How much the error of networks' outputs, to first order, counts beside that of their weights; needs
    `space: {kind: tokens}`, data, and small chains of Linear and Conv2d layers."""
    precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    """Of products: tf32 takes effect on CUDA alone; bf16 is faster on processors that have it, slower on others."""
    seed: NonNegativeInt = 0

    @model_validator(mode="after")
    def _tokens_where_needed(self) -> "FitParams":
        if isinstance(self.space, NeuronTokens):
            return self
        for name, asked in (
            ("velocity.kind: tokens", self.velocity.kind == "tokens"),
            ("coupling: units", self.coupling == "units"),
            ("output_loss_weight", self.output_loss_weight > 0),
        ):
            if asked:
                raise ValueError(f"{name} needs fit.space: {{kind: tokens}}, found {self.space.kind}")
        return self

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, values: Any) -> Any:
        """`preset: paper_mlp` stands for its values; whatever stands beside it wins, and kinds have defaults."""
        if not isinstance(values, dict):
            return values
        values = dict(values)
        preset = values.pop("preset", None)
        if preset is not None and preset not in PRESETS:
            raise ValueError(f"preset {preset!r} is not one of {', '.join(PRESETS)}")
        values = _merged(PRESETS[preset], values) if preset else values
        for name, kind in (("space", "pca"), ("time", "uniform"), ("velocity", "mlp"), ("optimizer", "adamw")):
            if isinstance(values.get(name), dict):
                values[name] = {"kind": kind, **values[name]}
        return values


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`, section by section; a section of another kind replaces the whole."""
    result = dict(base)
    for name, value in over.items():
        old = base.get(name)
        same = (
            isinstance(value, dict) and isinstance(old, dict) and value.get("kind", old.get("kind")) == old.get("kind")
        )
        result[name] = _merged(old, value) if same and isinstance(old, dict) else value
    return result
