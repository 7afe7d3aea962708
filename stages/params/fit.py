"""Parameters of fit, and the paper's settings as presets."""

from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, TypeAdapter, model_validator

from stages.params.base import Params, Seed

CONDITIONS = ("initialisation", "validation_score", "validation_loss", "dataset")
"""What every zoo knows of its members and flows may be conditioned on; zoos trained elsewhere report more."""
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


class SpaceParams(Params):
    """A space that flows live on; `kind` is also the name of its module in `stages.flow.spaces`."""

    kind: Any  # each space's own literal

    def modules(self) -> tuple[str, ...]:
        """The module with this space's `make`."""
        return (f"stages.flow.spaces.{self.kind}",)


class Raw(SpaceParams):
    """Flow in weight space: rows of weights as they are."""

    kind: Literal["raw"] = "raw"
    """Space: `raw`, the weights themselves."""


class Pca(SpaceParams):
    """Flow in PCA codes: coordinates along the principal components of the training members."""

    kind: Literal["pca"] = "pca"
    """Space: `pca`, codes of the weights."""
    components: PositiveInt | None = None
    """Number of principal components. None: all that carry variance, one less than there are training members."""
    whiten: bool = True
    """Division of each code by its standard deviation; the paper's release doesn't."""


class NeuronTokens(SpaceParams):
    """Flow in neuron tokens: one per unit, of the weights that are its own, and one per pair, of those in between."""

    kind: Literal["tokens"] = "tokens"
    """Space: `tokens`, sets of units and of pairs of units."""


class VelocityParams(Params):
    """A velocity network; `kind` is also the name of its module in `stages.flow.velocity`."""

    kind: Any  # each network's own literal

    def modules(self) -> tuple[str, ...]:
        """The module with this network's `build`."""
        return (f"stages.flow.velocity.{self.kind}",)


class Velocity(VelocityParams):
    """The paper's velocity network: an MLP of widths h, h/2, h with LayerNorm, GELU and a time embedding."""

    kind: Literal["mlp"] = "mlp"
    """Velocity network: `mlp`, the paper's."""
    hidden: int = Field(ge=2)
    """Number of hidden units h of the velocity MLP, at least 2 (the paper's flow width d_h, 64 to 1,024)."""
    time_dim: PositiveInt = 64
    """Width of the time embedding (64 in the paper's release, 4 for Iris)."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Dropout probability in [0, 1) (0.1 in the paper's release, 0.4 for Iris)."""


class TokenVelocity(VelocityParams):
    """A transformer over units, equivariant to their permutations; needs `space: {kind: tokens}`."""

    kind: Literal["tokens"] = "tokens"
    """Velocity network: `tokens`, a transformer over neuron tokens."""
    width: PositiveInt = 128
    """Width of the residual stream of unit tokens; must be a multiple of `heads`."""
    depth: PositiveInt = 4
    """Number of transformer blocks."""
    heads: PositiveInt = 4
    """Attention heads per block."""
    pair_width: PositiveInt = 32
    """Width of the tokens of pairs of units, which networks with more than one hidden layer have."""

    @model_validator(mode="after")
    def _divisible(self) -> "TokenVelocity":
        if self.width % self.heads:
            raise ValueError(f"heads must divide width, but {self.heads} doesn't divide {self.width}")
        return self


VelocityNetwork = Annotated[Velocity | TokenVelocity, Field(discriminator="kind")]


def velocity_from(description: dict[str, Any]) -> VelocityNetwork:
    """The velocity network that a fitted artifact describes."""
    return TypeAdapter(VelocityNetwork).validate_python(description)


class Source(Params):
    """Source noise at t = 0, independent in every coordinate."""

    law: Literal["gaussian", "uniform", "laplace"] = "gaussian"
    """Shape of the distribution, of mean 0 and standard deviation `std` whichever it is."""
    std: PositiveFloat = 1.0
    """Standard deviation of the source noise (the paper's Appendix H); its unit is set by `relative`."""
    relative: bool = True
    """Unit of `std`: true is the data's root mean square, false is absolute, as in the paper."""


class Uniform(Params):
    """Times t uniform on [0, 1]."""

    kind: Literal["uniform"] = "uniform"
    """Distribution of t: `uniform`, as in the paper's release."""


class Beta(Params):
    """Times t from a Beta distribution on [0, 1]."""

    kind: Literal["beta"] = "beta"
    """Distribution of t: `beta`."""
    alpha: PositiveFloat = 2.0
    """First shape parameter: larger values move times towards 1, the data."""
    beta: PositiveFloat = 5.0
    """Second shape parameter: larger values move times towards 0, the noise."""


class Optimizer(Params):
    """AdamW's settings and a cosine schedule of the learning rate."""

    lr: PositiveFloat = 1e-3
    """Learning rate at the peak of the schedule (5e-4 in the paper's release)."""
    final_lr: NonNegativeFloat = 1e-6
    """Learning rate at the last step, the end of the cosine schedule (1e-6 in the paper's release)."""
    betas: tuple[float, float] = (0.9, 0.95)
    """Decay rates of AdamW's averages of the gradient and of its square."""
    weight_decay: NonNegativeFloat = 1e-5
    """Decoupled weight decay (1e-5 in the paper's release)."""
    warmup: float = Field(default=0.0, ge=0, lt=1)
    """Fraction of all steps, in [0, 1), in which the learning rate rises linearly from 0."""


class AdamW(Optimizer):
    """AdamW (Loshchilov and Hutter, arXiv 1711.05101), the paper's optimizer."""

    kind: Literal["adamw"] = "adamw"
    """Optimizer of the velocity network: `adamw`."""


class Muon(Optimizer):
    """Muon (Liu et al., arXiv 2502.16982): orthogonalized steps of AdamW's length for matrices, AdamW for the rest."""

    kind: Literal["muon"] = "muon"
    """Optimizer of the velocity network: `muon`."""
    momentum: float = Field(default=0.95, ge=0, lt=1)
    """Momentum of the matrices' steps, in [0, 1)."""


class FitParams(Params):
    """A flow-matching model over networks, and its training."""

    space: Annotated[Raw | Pca | NeuronTokens, Field(discriminator="kind")] = Pca()
    """Space that the flow lives in: weights, PCA codes or neuron tokens."""
    velocity: VelocityNetwork
    """Velocity network of the flow."""
    coupling: Literal["independent", "networks", "units"] = "independent"
    """Pairing of noise and members: `independent`; `networks` assigns the batch's noise to the nearest members
    (minibatch optimal transport); `units` permutes each noise's units to lie nearest to the member's, for `space:
    {kind: tokens}`."""
    condition: tuple[str, ...] = ()
    """Facts about each member that the flow is conditioned on, for `sample.condition`: `initialisation`,
    `validation_score`, `validation_loss`, `dataset` (the paper's Appendix K), or what a zoo trained elsewhere reports
    of its members, such as `test_accuracy`."""
    condition_dropout: float = Field(default=0.1, ge=0, le=1)
    """Probability, in [0, 1], of training without the condition, for classifier-free guidance. Of several facts each is
    otherwise dropped with probability 1/2, so that networks can be asked for by some of them; 0: none ever is."""
    source: Source = Source()
    """Source noise, the distribution at t = 0."""
    path_noise_std: NonNegativeFloat = 0.0
    """Standard deviation of the Gaussian noise added to points on the path (0.001 in the paper's release)."""
    time: Annotated[Uniform | Beta, Field(discriminator="kind")] = Uniform()
    """Distribution of the times t at which the flow is trained."""
    steps: PositiveInt
    """Number of training steps (30,000 in the paper's release)."""
    batch: PositiveInt
    """Members per training step (batch size; 8 in the paper's release)."""
    optimizer: Annotated[AdamW | Muon, Field(discriminator="kind")] = AdamW()
    """Optimizer of the velocity network."""
    ema_decay: float = Field(default=0.999, ge=0, lt=1)
    """Decay per step of the exponential moving average of the weights that networks are sampled with. 0: none."""
    checkpoint: Literal["last", "heldout"] = "last"
    """Weights that are kept: those of the last step, or those with the lowest loss on held-out members."""
    check_every_steps: PositiveInt = 500
    """Training steps between checks, which measure held-out loss and dispersion and write a checkpoint."""
    patience_checks: PositiveInt | None = None
    """Number of checks without a lower held-out loss after which training stops. None: never before the last step."""
    eval_samples: NonNegativeInt = 16
    """Networks sampled at each of ten looks during training, for their validation score and novelty. 0: none."""
    max_memory_gib: PositiveFloat = 4.0
    """Memory for members in GiB; a larger zoo is read from the store batch by batch, with the same result."""
    output_loss_weight: NonNegativeFloat = 0.0
    """Weight in the loss of the error in networks' outputs, to first order, beside the error in their weights; needs
    `space: {kind: tokens}`, data, and a small chain of Linear and Conv2d layers."""
    precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    """Precision of matrix products: `tf32` takes effect on CUDA only; `bf16` is faster where processors support it."""
    seed: Seed = 0
    """Seed of the velocity network's initial weights, of batches, noise and times."""

    @model_validator(mode="after")
    def _tokens_where_needed(self) -> "FitParams":
        if isinstance(self.space, NeuronTokens):
            return self
        for name, needs_tokens in (
            ("velocity.kind: tokens", self.velocity.kind == "tokens"),
            ("coupling: units", self.coupling == "units"),
            ("output_loss_weight", self.output_loss_weight > 0),
        ):
            if needs_tokens:
                raise ValueError(f"{name} needs fit.space: {{kind: tokens}}, found {self.space.kind}")
        return self

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, values: Any) -> Any:
        """Values of `preset`, under those that stand beside it, and the default kind of every section without one."""
        if not isinstance(values, dict):
            return values
        values = dict(values)
        preset = values.pop("preset", None)
        if preset is not None and preset not in tuple(PRESETS):  # which may be no text
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
