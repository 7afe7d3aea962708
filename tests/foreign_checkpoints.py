"""Checkpoints as people have them: written by plain torch code that knows nothing of this project."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn


def convnet(width: int = 4, classes: int = 3) -> nn.Sequential:
    """A small convolutional network with BatchNorm, for images [1, 8, 8]."""
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, classes),
    )


def perceptron() -> nn.Sequential:
    """What `{kind: mlp, widths: [4, 6, 3]}` describes."""
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))


def trained(seed: int, steps: int = 4) -> nn.Sequential:
    """A convnet after a few steps of training on noise: every parameter and buffer has moved."""
    torch.manual_seed(seed)
    net = convnet()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for _ in range(steps):
        loss = nn.functional.cross_entropy(net(torch.randn(16, 1, 8, 8)), torch.randint(3, (16,)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net


def prefixed(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """As a wrapper around the network names its tensors."""
    return {prefix + name: tensor for name, tensor in state.items()}


def save(path: Path, content: object) -> Path:
    """Write by the file's ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        assert isinstance(content, dict)
        save_file({name: t.contiguous().clone() for name, t in content.items()}, path)
    elif path.suffix == ".npz":
        assert isinstance(content, dict)
        np.savez(path, **{name: t.numpy() for name, t in content.items()})
    else:
        torch.save(content, path)
    return path
