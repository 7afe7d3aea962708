"""Sizes of networks by formula, without torch, which would take longer to import than a plan takes."""

from dataclasses import dataclass
from itertools import pairwise
from math import ceil

from stages.params.network import CNN, MLP, Bert, Network, ResNet, ResNet18, ViT

RESNET18 = {"blocks": (2, 2, 2, 2), "width": 64}
"""ResNet-18 for small images, as a residual network of basic blocks."""


@dataclass(frozen=True)
class NetworkSize:
    """A network's numbers of parameters and of other stored values (running statistics), and what an example costs."""

    parameters: int
    buffers: int = 0
    products: int = 0
    """Multiplications of a forward pass."""
    activations: int = 0
    """Values that layers put out."""
    units: int = 0
    """Units that can be permuted, about: neurons, channels."""
    pairs: int = 0
    """Pairs of units that weights lie between, about."""

    @property
    def values(self) -> int:
        """Values of a complete network."""
        return self.parameters + self.buffers


def network_size(network: Network) -> NetworkSize | None:
    """The size of an architecture of ours; None for any other model, which only its own code knows."""
    match network:
        case MLP():
            return _mlp(network.widths)
        case CNN():
            return _cnn(network)
        case ResNet():
            return _resnet(network)
        case ResNet18():
            return _resnet(ResNet(**RESNET18, **network.model_dump(exclude={"kind"})))
        case ViT():
            return _vit(network)
        case Bert():
            return _bert(network)
        case _:
            return None


def _mlp(widths: tuple[int, ...]) -> NetworkSize:
    products = sum(a * b for a, b in pairwise(widths))
    pairs = sum(a * b for a, b in pairwise(widths[1:-1]))
    return NetworkSize(products + sum(widths[1:]), 0, products, 2 * sum(widths), sum(widths[1:-1]), pairs)


def _cnn(network: CNN) -> NetworkSize:
    channels, size = network.channels, network.size
    parameters, products, activations = 0, 0, channels * size**2
    for width in network.widths:
        size = ceil(size / 2)
        parameters += 9 * channels * width + width
        products += 9 * channels * width * size**2
        activations += 2 * width * size**2
        channels = width
    head = channels * size**2 * network.classes
    pairs = sum(a * b for a, b in pairwise(network.widths))
    return NetworkSize(parameters + head + network.classes, 0, products + head, activations, sum(network.widths), pairs)


def _resnet(network: ResNet) -> NetworkSize:
    total, width, size = _convolution(network.channels, network.width, 3, network.size), network.width, network.size
    for stage, count in enumerate(network.blocks):
        out = network.width * 2**stage
        for block in range(count):
            size = ceil(size / 2) if stage and not block else size
            total = _sum(total, _convolution(width, out, 3, size), _convolution(out, out, 3, size))
            if width != out or (stage and not block):
                total = _sum(total, _convolution(width, out, 1, size))
            width = out
    head = width * network.classes
    return _sum(total, NetworkSize(head + network.classes, 0, head))


def _convolution(channels: int, out: int, kernel: int, size: int) -> NetworkSize:
    """A convolution that gives images of this size, its BatchNorm and a ReLU."""
    weights = kernel**2 * channels * out
    return NetworkSize(weights + 2 * out, 2 * out, weights * size**2, 3 * out * size**2, out, channels * out)


def _vit(network: ViT) -> NetworkSize:
    d, patch = network.dim, network.channels * network.patch**2
    tokens = (network.size // network.patch) ** 2 + 1
    blocks = _transformer(d, int(d * network.mlp_ratio), network.depth, network.heads, tokens)
    embedding, head = patch * d, d * network.classes
    rest = embedding + d + d + tokens * d + 2 * d + head + network.classes
    return _sum(blocks, NetworkSize(rest, 0, embedding * tokens + head, 2 * tokens * d, d))


def _bert(network: Bert) -> NetworkSize:
    d, pooler = network.dim, network.dim * (network.dim + 1) if network.pool == "first" else 0
    blocks = _transformer(d, network.mlp, network.depth, network.heads, network.length)
    embeddings = (network.vocabulary + network.length + 1) * d + 2 * d
    return _sum(blocks, NetworkSize(embeddings + pooler + d + 1, 0, pooler + d, 2 * network.length * d, d))


def _transformer(dim: int, hidden: int, depth: int, heads: int, tokens: int) -> NetworkSize:
    """Blocks of attention and two layers."""
    weights = 4 * dim**2 + 2 * dim * hidden
    products = tokens * weights + 2 * tokens**2 * dim
    activations = tokens * (8 * dim + 2 * hidden) + heads * tokens**2
    return NetworkSize(
        depth * (weights + 9 * dim + hidden),
        0,
        depth * products,
        depth * activations,
        depth * (hidden + heads),
        depth * 2 * dim * hidden,
    )


def _sum(*sizes: NetworkSize) -> NetworkSize:
    names = ("parameters", "buffers", "products", "activations", "units", "pairs")
    return NetworkSize(**{name: sum(getattr(size, name) for size in sizes) for name in names})
