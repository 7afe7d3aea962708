"""An input that a network takes, guessed from its first layer."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from stages.errors import UsageError
from stages.seeds import generator

SIDES = (32, 28, 224, 64, 8, 16, 96, 128, 256, 299, 384)
"""Heights and widths that are tried of images, and lengths of sequences: the usual ones first."""
REFUSALS = (RuntimeError, ValueError, TypeError, AssertionError, IndexError, NotImplementedError, AttributeError)
"""What networks raise at inputs of a shape that isn't theirs."""


@torch.no_grad()
def example_for(module: nn.Module) -> Tensor:
    """Two random inputs [2, ...], always the same, of the first shape that the module takes.

    Raises UsageError if its first layer doesn't say which to try, or none fits.
    """
    for example in _candidates(module):
        try:
            module(example)
        except REFUSALS:
            continue
        return example
    raise UsageError(
        f"example: no input could be guessed that {type(module).__name__} takes; give one, e.g. "
        "example=torch.randn(2, 3, 224, 224)"
    )


def _candidates(module: nn.Module) -> Iterator[Tensor]:
    draw = generator("guessed example")
    first = next((layer for layer in module.modules() if next(layer.parameters(recurse=False), None) is not None), None)
    match first:
        case nn.Linear():
            yield torch.randn(2, first.in_features, generator=draw)
        case nn.Conv1d() | nn.Conv2d() | nn.Conv3d():
            for side in SIDES:
                yield torch.randn(2, first.in_channels, *[side] * len(first.kernel_size), generator=draw)
        case nn.Embedding():
            yield from (torch.randint(first.num_embeddings, (2, side), generator=draw) for side in SIDES)
