"""Descriptions of every architecture that a configuration can name, and how BatchNorm statistics are measured."""

import json
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, JsonValue, PositiveFloat, PositiveInt, TypeAdapter, model_validator

from stages.params.base import Params

PRETRAINED = (
    "pretrained",
    "weights",
    "weights_backbone",
    "checkpoint_path",
    "pretrained_cfg",
    "pretrained_cfg_overlay",
)
"""Arguments by which libraries fetch trained weights."""
FACTORY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_][\w.]*")
"""A module, a colon, and a name in it."""


def _names_a_function(name: str) -> str:
    if not FACTORY.fullmatch(name):
        raise ValueError(f"{name!r} names no function; expected package.module:name")
    return name


FunctionName = Annotated[str, AfterValidator(_names_a_function)]
"""A function of the user's own, `package.module:name`."""


class Architecture(Params):
    """An architecture; `kind` is also the name of its module in `stages.nets`."""

    kind: Any  # each architecture's own literal

    def modules(self) -> tuple[str, ...]:
        """The module with this architecture's `build`."""
        return (f"stages.nets.{self.kind}",)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        raise NotImplementedError

    @property
    def tokens(self) -> int | None:
        """Number of token ids, 0 being padding, where examples are token ids; None where they are real numbers."""
        return None


class MLP(Architecture):
    """A multi-layer perceptron with ReLU and biases; its input is flattened."""

    kind: Literal["mlp"] = "mlp"
    """Architecture: `mlp`, a multi-layer perceptron."""
    widths: Annotated[tuple[PositiveInt, ...], Field(min_length=2)]
    """Units per layer from input to output, e.g. [784, 32, 32, 10]; the last is 1 in a regression."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example, flattened."""
        return self.widths[:1]


class ImageClassifier(Architecture):
    """A classifier of square images."""

    size: PositiveInt = 32
    """Height and width of the input in pixels."""
    channels: PositiveInt = 3
    """Channels of the input: 1 for grey images, 3 for colour."""
    classes: int = Field(default=10, ge=2)
    """Number of classes, at least 2: one output for each."""

    @property
    def shape(self) -> tuple[int, ...]:
        """[channels, height, width]."""
        return (self.channels, self.size, self.size)


class CNN(ImageClassifier):
    """A chain of 3x3 convolutions of stride 2 with ReLU, without BatchNorm, and a linear head on all positions."""

    kind: Literal["cnn"] = "cnn"
    """Architecture: `cnn`, a plain convolutional network."""
    widths: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (8, 16)
    """Output channels per convolution; each convolution halves the image, an odd side rounded up."""


class ResNet(ImageClassifier):
    """A residual network for small images; [3, 3, 3] and width 16 make ResNet-20 (He et al. 2016, section 4.2).

    Shortcuts that change shape are 1x1 convolutions with BatchNorm, so that every channel can be permuted.
    """

    kind: Literal["resnet"] = "resnet"
    """Architecture: `resnet`, a residual network of basic blocks."""
    blocks: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (3, 3, 3)
    """Residual blocks per stage; each stage after the first halves the image and doubles the channels."""
    width: PositiveInt = 16
    """Channels of the first stage."""


class ResNet18(ImageClassifier):
    """ResNet-18 from torchvision, for small images: a 3x3 stem of stride 1 and no max-pooling; 11.2M parameters."""

    kind: Literal["resnet18"] = "resnet18"
    """Architecture: `resnet18`, torchvision's ResNet-18."""


class ViT(ImageClassifier):
    """A vision transformer from timm with a class token; the defaults make ViT-Small-192, 2.7M parameters."""

    kind: Literal["vit"] = "vit"
    """Architecture: `vit`, a vision transformer."""
    patch: PositiveInt = 4
    """Height and width of a patch in pixels; must divide `size`."""
    dim: PositiveInt = 192
    """Width of the residual stream; must be a multiple of `heads`."""
    depth: PositiveInt = 6
    """Number of transformer blocks."""
    heads: PositiveInt = 3
    """Attention heads per block."""
    mlp_ratio: PositiveFloat = 4.0
    """Hidden units of each block's MLP, in units of `dim`."""

    @model_validator(mode="after")
    def _divisible(self) -> "ViT":
        _check_divides("heads", self.heads, "dim", self.dim)
        _check_divides("patch", self.patch, "size", self.size)
        return self


class Bert(Architecture):
    """Hugging Face's BERT with one output per text; base size is dim 768, depth 12, heads 12, mlp 3072."""

    kind: Literal["bert"] = "bert"
    """Architecture: `bert`, a transformer encoder with a regression head."""
    vocabulary: int = Field(default=4096, ge=2)
    """Number of token embeddings; at least the data set's vocabulary."""
    length: PositiveInt = 64
    """Largest number of tokens per text, which is the number of position embeddings."""
    dim: PositiveInt = 128
    """Width of the residual stream; must be a multiple of `heads`."""
    depth: PositiveInt = 2
    """Number of transformer layers."""
    heads: PositiveInt = 2
    """Attention heads per layer."""
    mlp: PositiveInt = 512
    """Hidden units of each layer's feed-forward network."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout probability of hidden states and attention weights during training."""
    pool: Literal["first", "mean"] = "first"
    """Input of the output layer: `first` is BERT's pooler of the first token, `mean` the mean over all tokens that
    aren't padding."""

    @model_validator(mode="after")
    def _divisible(self) -> "Bert":
        _check_divides("heads", self.heads, "dim", self.dim)
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """[length]."""
        return (self.length,)

    @property
    def tokens(self) -> int | None:
        """The vocabulary."""
        return self.vocabulary


class Model(Architecture):
    """Any torch model, by the function or class that makes it; always freshly initialised."""

    kind: Literal["model"] = "model"
    """Architecture: `model`, any torch model."""
    model: str
    """Factory of the model: `timm:vit_tiny_patch16_224`, `torchvision:resnet34`, or `package.module:factory`."""
    kwargs: dict[str, JsonValue] = Field(default_factory=dict)
    """Keyword arguments of the factory, e.g. {num_classes: 10}; arguments that load trained weights are refused."""
    input: Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
    """Shape of one example, e.g. [3, 224, 224]."""
    vocabulary: int | None = Field(default=None, ge=2)
    """Number of token ids, 0 being padding, where examples are token ids. None: examples are real numbers."""

    @model_validator(mode="after")
    def _known_and_untrained(self) -> "Model":
        if not FACTORY.fullmatch(self.model):
            raise ValueError(
                f"{self.model!r} names no model; expected timm:NAME, torchvision:NAME or package.module:factory"
            )
        if refused := [name for name in PRETRAINED if name in self.kwargs]:
            raise ValueError(f"kwargs.{refused[0]}: no weights are ever fetched for a network; leave it out")
        return self

    def __hash__(self) -> int:
        """Equal descriptions have equal hashes; a dict has none."""
        return hash(json.dumps(self.model_dump(mode="json"), sort_keys=True))

    def modules(self) -> tuple[str, ...]:
        """Also the module of the user's own factory."""
        package = self.model.partition(":")[0]
        return super().modules() + (() if package in ("timm", "torchvision") else (package,))

    @property
    def shape(self) -> tuple[int, ...]:
        """`input`."""
        return self.input

    @property
    def tokens(self) -> int | None:
        """`vocabulary`."""
        return self.vocabulary


def _check_divides(divisor_name: str, divisor: int, name: str, value: int) -> None:
    if value % divisor:
        raise ValueError(f"{divisor_name} must divide {name}, but {divisor} doesn't divide {value}")


Network = Annotated[MLP | CNN | ResNet | ResNet18 | ViT | Bert | Model, Field(discriminator="kind")]
"""The union of all architectures, told apart by `kind`; a new one joins it here, and as a module in `stages.nets`."""


def network_from(description: dict[str, Any]) -> Network:
    """The network that a store's attributes describe."""
    return TypeAdapter(Network).validate_python(description)


class BatchNorm(Params):
    """Re-estimation of each network's BatchNorm statistics on training inputs (the paper's Algorithm 1)."""

    images: PositiveInt = 2000
    """Number of training inputs, all if there are fewer (the paper's Algorithm 1: a small training subset)."""
    batch: PositiveInt = 250
    """Inputs per batch; the statistics are averages over the batches."""
