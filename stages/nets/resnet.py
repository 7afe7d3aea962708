"""Residual networks for small images (He et al. 2016, section 4.2)."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own abbreviation

from stages.params.network import ResNet


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        """From `channels` to `out` channels, every `stride`-th pixel."""
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out)
        same = stride == 1 and channels == out
        self.shortcut = (
            nn.Identity()
            if same
            else nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        )

    def forward(self, x: Float[Tensor, "examples channels height width"]) -> Float[Tensor, "examples out h w"]:
        """Activations after the block."""
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


def build(network: ResNet) -> nn.Sequential:
    """The module, with torch's own initialisation."""
    width = network.width
    layers: list[nn.Module] = [
        nn.Conv2d(network.channels, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    ]
    for stage, count in enumerate(network.blocks):
        out = network.width * 2**stage
        for block in range(count):
            layers.append(Block(width, out, stride=2 if stage and not block else 1))
            width = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, network.classes))
