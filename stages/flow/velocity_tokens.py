"""A velocity network that sees a network's neurons as a set: it can't tell, and needn't know, in which order they come."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own abbreviation

from stages.flow.tokens import split

FREQUENCIES = 64
"""Sines and cosines, in all, by which t is told."""


class VelocityTokens(nn.Module):
    """Attention over neuron tokens, with no positions: blocks modulated by t, starting as the identity (Peebles and Xie,
    arXiv 2212.09748).

    Every set of tokens has projections of its own. Reordering the tokens of a set reorders its velocities alike, so
    with source noise that has no order either, the law of what is sampled doesn't change when units are relabelled:
    nothing needs to be canonicalized. That is exact as far as a token's features run along fixed axes (one hidden
    layer); a weight between two hidden layers is a feature of one whose place is the other's order.
    """

    def __init__(self, shapes: tuple[tuple[int, int], ...], width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.shapes = shapes
        self.read = nn.ModuleList(nn.Linear(features, width) for _, features in shapes)
        self.time = nn.Sequential(nn.Linear(FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.write = nn.ModuleList(_zero(nn.Linear(width, features)) for _, features in shapes)

    def forward(self, x: Float[Tensor, "batch dim"], t: Float[Tensor, " batch"]) -> Float[Tensor, "batch dim"]:
        """The velocity of all tokens at x and t."""
        told = self.time(_waves(t))
        h = torch.cat([read(part) for read, part in zip(self.read, split(x, self.shapes), strict=True)], dim=1)
        for block in self.blocks:
            h = block(h, told)
        parts = self.norm(h).split([tokens for tokens, _ in self.shapes], dim=1)
        return torch.cat([write(part).flatten(1) for write, part in zip(self.write, parts, strict=True)], dim=1)


class _Block(nn.Module):
    """Attention, then two layers for each token; shifted, scaled and gated by what t says."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.mix = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.modulation = _zero(nn.Linear(width, 6 * width))

    def forward(self, h: Float[Tensor, "batch tokens width"], told: Float[Tensor, "batch width"]) -> Tensor:
        a, b, gate, c, d, gate2 = self.modulation(told).unsqueeze(1).chunk(6, dim=-1)
        h = h + gate * self._attend(_normed(h) * (1 + a) + b)
        return h + gate2 * self.down(F.gelu(self.up(_normed(h) * (1 + c) + d)))

    def _attend(self, h: Tensor) -> Tensor:
        q, k, v = self.qkv(h).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.mix(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


def _normed(h: Tensor) -> Tensor:
    return F.layer_norm(h, h.shape[-1:])


def _zero(layer: nn.Linear) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _waves(t: Float[Tensor, " batch"]) -> Float[Tensor, "batch waves"]:
    """Sines and cosines of t, from one to a thousand half turns."""
    half = FREQUENCIES // 2
    rates = torch.exp(torch.linspace(0, math.log(1000), half, device=t.device)) * math.pi
    angles = t.unsqueeze(1) * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)
