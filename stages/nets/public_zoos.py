"""Networks of public zoos by the names of their tensors, for `model: "stages.nets.public_zoos:small_cnn"`."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

T = TypeVar("T")
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "gelu": nn.GELU,
    "leakyrelu": nn.LeakyReLU,
    "relu": nn.ReLU,
    "selu": nn.SELU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}
"""By the names that zoos give them in their hyper-parameters."""


class Convolution(NamedTuple):
    """A layer of a Model Zoo CNN; a pooled one halves the image."""

    channels: int
    kernel: int
    pooled: bool = True


MODEL_ZOO_CNNS = {
    "CNN": ((Convolution(8, 5), Convolution(6, 5), Convolution(4, 2, pooled=False)), 4 * 3 * 3),
    "CNN2": ((Convolution(6, 5), Convolution(9, 5), Convolution(6, 2, pooled=False)), 6 * 3 * 3),
    "CNN3": ((Convolution(16, 3), Convolution(32, 3), Convolution(15, 3)), 15 * 2 * 2),
}
"""`model::type` in a zoo's `params.json` -> convolutions, and the values that remain of an image: of 28x28 pixels for
the first two, of 32x32 for CNN3."""


class LayerList(nn.Module):
    """Layers one after the other, named `module_list.0`, `module_list.1`, ..."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.module_list = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        """The last layer's output."""
        for layer in self.module_list:
            x = layer(x)
        return x


def model_zoo_cnn(
    architecture: Literal["CNN", "CNN2", "CNN3"] = "CNN",
    channels: int = 1,
    classes: int = 10,
    activation: str = "tanh",
    dropout: float | None = None,
) -> LayerList:
    """A CNN of Model Zoos (Schürholt et al. 2022) or WeightCLIP; `dropout` None: the network has no such layers.

    Dropout layers count in the names of tensors: with them, those of CNN3 are `module_list.{0,4,8,13,16}`.
    """
    convolutions, features = _named(MODEL_ZOO_CNNS, "architecture", architecture)
    new_activation = _named(ACTIVATIONS, "activation", activation)

    def dropouts() -> list[nn.Module]:
        return [] if dropout is None else [nn.Dropout(dropout)]

    layers: list[nn.Module] = []
    for width, kernel, pooled in convolutions:
        layers.append(nn.Conv2d(channels, width, kernel))
        layers += [nn.MaxPool2d(2), new_activation(), *dropouts()] if pooled else [new_activation()]
        channels = width
    return LayerList(
        [*layers, nn.Flatten(), nn.Linear(features, 20), new_activation(), *dropouts(), nn.Linear(20, classes)]
    )


def small_cnn(
    channels: int = 1, width: int = 16, depth: int = 3, classes: int = 10, activation: str = "relu"
) -> nn.Sequential:
    """The network of the Small CNN Zoo (Unterthiner et al. 2020): 3x3 convolutions of stride 2 without padding, the
    mean over positions, a linear head; 4,970 parameters with its defaults.
    """
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Conv2d(channels, width, 3, stride=2), _named(ACTIVATIONS, "activation", activation)()]
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))


class SineLayer(nn.Linear):
    """sin(w0 (W x + b)), initialised as in Sitzmann et al. 2020, section 3.2, for a layer after the first."""

    def __init__(self, fan_in: int, fan_out: int, w0: float) -> None:
        super().__init__(fan_in, fan_out)
        self.w0 = w0
        bound = math.sqrt(6 / fan_in) / w0
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        """The layer's output."""
        return torch.sin(self.w0 * super().forward(input))


class Siren(nn.Module):
    """A sinusoidal representation network, named `seq.0`, `seq.1`, ..., whose last layer is linear."""

    def __init__(self, widths: Sequence[int], w0: float, shift: float) -> None:
        super().__init__()
        hidden = [SineLayer(fan_in, fan_out, w0) for fan_in, fan_out in pairwise(widths[:-1])]
        self.seq = nn.Sequential(*hidden, nn.Linear(widths[-2], widths[-1]))
        self.shift = shift

    def forward(self, x: Float[Tensor, "points inputs"]) -> Float[Tensor, "points outputs"]:
        """The represented values."""
        return self.seq(x) + self.shift


def siren(widths: Sequence[int] = (2, 32, 32, 1), w0: float = 30.0, shift: float = 0.5) -> Siren:
    """An implicit representation of an image, as in the INR zoos of Navon et al. 2023: positions to grey values."""
    return Siren(widths, w0, shift)


def sinusoids(positions: int, dim: int) -> Float[Tensor, "positions dim"]:
    """The position encoding of Vaswani et al. 2017, section 3.5, for an even `dim`."""
    angles = torch.arange(positions)[:, None] * torch.exp(torch.arange(0, dim, 2) * (-math.log(10_000.0) / dim))
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


class PatchEmbedding(nn.Module):
    """Patches of an image as tokens, with positions added."""

    def __init__(self, channels: int, size: int, patch: int, dim: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, dim, patch, stride=patch)
        self.register_buffer("pos_embedding", sinusoids((size // patch) ** 2, dim))
        self.pos_embedding: Tensor

    def forward(self, images: Float[Tensor, "images channels height width"]) -> Float[Tensor, "images tokens dim"]:
        """One token per patch."""
        return self.conv1(images).flatten(2).transpose(1, 2) + self.pos_embedding


class SelfAttention(nn.Module):
    """Multi-head attention without biases."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.queries, self.keys, self.values, self.out_projection = (nn.Linear(dim, dim, bias=False) for _ in range(4))

    def forward(self, x: Float[Tensor, "images tokens dim"]) -> Float[Tensor, "images tokens dim"]:
        """Each token's mixture of all tokens."""
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer in (self.queries, self.keys, self.values)
        )
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.out_projection(mixed.transpose(1, 2).flatten(2))


class EncoderLayer(nn.Module):
    """Attention, then a feed-forward network, each on normalised input; this zoo's networks have no residual stream."""

    def __init__(self, dim: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, elementwise_affine=False)
        self.attention = SelfAttention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, elementwise_affine=False)
        self.fc1, self.fc2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)

    def forward(self, x: Float[Tensor, "images tokens dim"]) -> Float[Tensor, "images tokens dim"]:
        """The next layer's tokens."""
        x = self.attention(self.norm1(x))
        return self.fc2(nn.functional.relu(self.fc1(self.norm2(x))))


class Head(nn.Module):
    """The mean over tokens, and a network with one hidden layer."""

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, dim), nn.Linear(dim, classes)

    def forward(self, x: Float[Tensor, "images tokens dim"]) -> Float[Tensor, "images classes"]:
        """Logits."""
        return self.fc2(nn.functional.relu(self.fc1(x.mean(1))))


class SmallTransformer(nn.Module):
    """A classifier of images by patches."""

    def __init__(self, embedding: PatchEmbedding, layers: Sequence[EncoderLayer], head: Head, dim: int) -> None:
        super().__init__()
        self.embedding, self.encoder, self.classifier = embedding, nn.ModuleList(layers), head
        self.norm = nn.LayerNorm(dim, elementwise_affine=False)

    def forward(self, images: Float[Tensor, "images channels height width"]) -> Float[Tensor, "images classes"]:
        """Logits."""
        x = self.embedding(images)
        for layer in self.encoder:
            x = layer(x)
        return self.classifier(self.norm(x))


def small_transformer(
    channels: int = 1,
    size: int = 28,
    patch: int = 4,
    dim: int = 32,
    depth: int = 2,
    heads: int = 2,
    mlp_ratio: int = 2,
    classes: int = 10,
) -> SmallTransformer:
    """The vision transformer of the Small Transformer Zoo (Tran et al. 2025).

    Its fixed position encoding is a buffer here, which no generator has to draw.
    """
    layers = [EncoderLayer(dim, heads, mlp_ratio * dim) for _ in range(depth)]
    return SmallTransformer(PatchEmbedding(channels, size, patch, dim), layers, Head(dim, classes), dim)


def hugging_face_classifier(model_type: str, **config: Any) -> nn.Module:
    """An image classifier of Hugging Face with logits as output, freshly initialised, by its `config.json`.

    `model_type` is that of the file, e.g. `vit`, and so are the other arguments, e.g. `hidden_size` and `num_labels`.
    """
    from transformers import AutoConfig, AutoModelForImageClassification

    described = AutoConfig.for_model(model_type, **config)
    with torch.device("meta"):
        base: Any = type(AutoModelForImageClassification.from_config(described))

    class Classifier(base):
        def forward(self, pixel_values: Tensor) -> Tensor:
            return super().forward(pixel_values).logits

    return Classifier(described)


def _named(table: dict[str, T], argument: str, name: str) -> T:
    if name not in table:
        raise ValueError(f"kwargs.{argument}: found {name!r}; expected one of {', '.join(table)}")
    return table[name]
