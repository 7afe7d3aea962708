"""Every architecture that a configuration can name."""

from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, TypeAdapter, model_validator

from stages.params.architecture import Architecture
from stages.params.model import Model


class MLP(Architecture):
    """A ReLU multi-layer perceptron; its input is flattened."""

    kind: Literal["mlp"] = "mlp"
    widths: Annotated[tuple[PositiveInt, ...], Field(min_length=2)]
    """Units per layer from input to output, e.g. [784, 32, 32, 10]."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example, flattened."""
        return self.widths[:1]


class ImageClassifier(Architecture):
    """What classifiers of square images share."""

    size: PositiveInt = 32
    """Height and width."""
    channels: PositiveInt = 3
    classes: int = Field(default=10, ge=2)

    @property
    def shape(self) -> tuple[int, ...]:
        """[channels, height, width]."""
        return (self.channels, self.size, self.size)


class CNN(ImageClassifier):
    """A small chain of 3x3 convolutions of stride 2 with ReLU, without BatchNorm, and a linear head on all positions."""

    kind: Literal["cnn"] = "cnn"
    widths: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (8, 16)
    """Channels per convolution; each halves the image, an odd side rounded up."""


class ResNet(ImageClassifier):
    """A residual network for small images; [3, 3, 3] and width 16 make ResNet-20 (He et al. 2016, section 4.2).

    Shortcuts that change shape are 1x1 convolutions with BatchNorm, so that every channel may be relabelled.
    """

    kind: Literal["resnet"] = "resnet"
    blocks: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (3, 3, 3)
    """Residual blocks per stage; each stage after the first halves the image and doubles the channels."""
    width: PositiveInt = 16
    """Channels of the first stage."""


class ResNet18(ImageClassifier):
    """torchvision's ResNet-18 for small images: a 3x3 stem of stride 1 and no max-pooling; 11.2M parameters."""

    kind: Literal["resnet18"] = "resnet18"


class ViT(ImageClassifier):
    """timm's vision transformer with a class token; the defaults make ViT-Small-192, 2.7M parameters."""

    kind: Literal["vit"] = "vit"
    patch: PositiveInt = 4
    dim: PositiveInt = 192
    depth: PositiveInt = 6
    heads: PositiveInt = 3
    mlp_ratio: PositiveFloat = 4.0
    """Width of the hidden layers, in units of `dim`."""

    @model_validator(mode="after")
    def _divisible(self) -> "ViT":
        _divides("heads", self.heads, "dim", self.dim)
        _divides("patch", self.patch, "size", self.size)
        return self


class Bert(Architecture):
    """Hugging Face's BERT with one output per text; base size is dim 768, depth 12, heads 12, mlp 3072."""

    kind: Literal["bert"] = "bert"
    vocabulary: int = Field(default=4096, ge=2)
    length: PositiveInt = 64
    """Tokens per text, at most."""
    dim: PositiveInt = 128
    depth: PositiveInt = 2
    heads: PositiveInt = 2
    mlp: PositiveInt = 512
    """Width of the hidden layers between the attention layers."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Of hidden states and attention."""
    pool: Literal["first", "mean"] = "first"
    """What the output is read from: BERT's pooler of the first token, or the mean of all that aren't padding."""

    @model_validator(mode="after")
    def _divisible(self) -> "Bert":
        _divides("heads", self.heads, "dim", self.dim)
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """[length]."""
        return (self.length,)

    @property
    def tokens(self) -> int | None:
        """The vocabulary."""
        return self.vocabulary


def _divides(part: str, size: int, whole: str, total: int) -> None:
    if total % size:
        raise ValueError(f"{part} must divide {whole}, but {size} doesn't divide {total}")


Network = Annotated[MLP | CNN | ResNet | ResNet18 | ViT | Bert | Model, Field(discriminator="kind")]
"""The union of all descriptions, told apart by `kind`; a new architecture joins it here, and as a module in `stages.nets`."""


def network_from(description: dict[str, Any]) -> Network:
    """The network that a store's attributes describe."""
    return TypeAdapter(Network).validate_python(description)
