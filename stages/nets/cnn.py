"""Small ReLU convolutional networks, as a plain `torch.nn.Sequential`."""

from math import ceil

from torch import nn

from stages.params.network import CNN


def build(network: CNN) -> nn.Sequential:
    """The module, with torch's own initialisation; it takes images, and rows of their pixels."""
    layers: list[nn.Module] = [nn.Flatten(), nn.Unflatten(1, network.shape)]
    channels, size = network.channels, network.size
    for width in network.widths:
        # Strides instead of pooling: three to five times as fast for stacked networks, at a quarter of the products.
        layers += [nn.Conv2d(channels, width, 3, stride=2, padding=1), nn.ReLU()]
        channels, size = width, ceil(size / 2)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * size**2, network.classes))
