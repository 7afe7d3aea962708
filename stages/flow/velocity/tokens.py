"""A velocity network over sets of units, equivariant to their permutations."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own abbreviation

from stages.flow.spaces.tokens import Shape, Tokens, split
from stages.flow.velocity.base import Cost
from stages.params.fit import TokenVelocity

FREQUENCIES = 64
"""Sines and cosines, in all, in the embedding of t."""
UNIT_ACTIVATIONS, PAIR_ACTIVATIONS = 17, 6
"""Values that a block keeps for its backward pass: per unit in widths, per pair in pair widths."""


class VelocityTokens(nn.Module):
    """Attention over units without positional encoding, in blocks modulated by t (DiT: Peebles and Xie,
    arXiv 2212.09748); pairs of units exchange messages with both of their units.

    Reordering the units of a set, and their pairs with them, reorders the velocities alike. The source noise has no
    order either, so the distribution of samples doesn't change when units are relabelled: nothing needs to be
    canonicalized. (Exact but for the order within heads, which is kept as it is.)

    It starts as the velocity for Gaussian points of independent coordinates with this `variance`, from noise of
    standard deviation `source`, and learns a residual in units of its spread (as Karras et al., arXiv 2206.00364,
    section 5, do for denoisers): directions that hardly vary need no capacity.
    """

    variance: Tensor
    source: Tensor

    def __init__(
        self,
        shapes: tuple[Shape, ...],
        variance: Float[Tensor, " dim"],
        source: float,
        conditions: int,
        *,
        width: int,
        depth: int,
        heads: int,
        pair_width: int,
    ) -> None:
        super().__init__()
        self.shapes = shapes
        self.register_buffer("variance", variance)
        self.register_buffer("source", torch.tensor(source))
        widths = [width if shape.ends is None else pair_width for shape in shapes]
        self.read = nn.ModuleList(_Read(s.features, w) for s, w in zip(shapes, widths, strict=True))
        self.time = nn.Sequential(nn.Linear(FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))
        self.condition = nn.Linear(conditions, width, bias=False) if conditions else None
        self.blocks = nn.ModuleList(_Block(shapes, width, heads, pair_width) for _ in range(depth))
        self.write = nn.ModuleList(_zero(nn.Linear(w, s.features)) for s, w in zip(shapes, widths, strict=True))

    def forward(
        self,
        x: Float[Tensor, "batch dim"],
        t: Float[Tensor, " batch"],
        c: Float[Tensor, "batch conditions"] | None = None,
    ) -> Float[Tensor, "batch dim"]:
        """The velocity of all tokens at x and t under the condition c (None: unconditional)."""
        u = t.unsqueeze(1)
        spread = torch.sqrt(((1 - u) * self.source) ** 2 + u**2 * self.variance)
        gaussian = (u * self.variance - (1 - u) * self.source**2) / spread**2 * x
        return gaussian + self.source * self.variance.sqrt() / spread * self._residual(x / spread, t, c)

    def _residual(self, x: Tensor, t: Tensor, c: Tensor | None) -> Tensor:
        """What is added to the Gaussian's velocity, in units of its spread."""
        embedding = self.time(_waves(t))
        if self.condition is not None and c is not None:
            embedding = embedding + self.condition(c)
        embedding = F.silu(embedding)
        tokens = [read(features) for read, features in zip(self.read, split(x, self.shapes), strict=True)]
        sizes = [s.tokens for s in self.shapes if s.ends is None]
        h, pairs = torch.cat(tokens[: len(sizes)], dim=1), tokens[len(sizes) :]
        for block in self.blocks:
            h, pairs = block(h, pairs, embedding)
        tokens = [*h.split(sizes, dim=1), *pairs]
        return torch.cat(
            [write(_normed(p)).flatten(1) for write, p in zip(self.write, tokens, strict=True)], dim=1
        ).float()


class _Read(nn.Module):
    """A linear layer whose input may have no features: its bias then identifies the set of a token."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(width, features) / max(1, features) ** 0.5)
        self.bias = nn.Parameter(torch.randn(width))

    def forward(self, tokens: Float[Tensor, "batch tokens features"]) -> Tensor:
        return F.linear(tokens, self.weight, self.bias)


class _Block(nn.Module):
    """Messages along pairs, attention, then two layers per unit; shifted, scaled and gated by the embedding of t."""

    def __init__(self, shapes: tuple[Shape, ...], width: int, heads: int, pair_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.pairs = nn.ModuleList(_Pairs(shapes, s.ends, width, pair_width) for s in shapes if s.ends is not None)
        self.qkv, self.mix = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.modulation = _zero(nn.Linear(width, 6 * width))

    def forward(
        self, h: Tensor, pairs: list[Tensor], embedding: Float[Tensor, "batch width"]
    ) -> tuple[Tensor, list[Tensor]]:
        updates = [layer(h, e, embedding) for layer, e in zip(self.pairs, pairs, strict=True)]
        for _, messages in updates:
            h = h + messages
        a, b, gate, c, d, gate2 = self.modulation(embedding).unsqueeze(1).chunk(6, dim=-1)
        h = h + gate * self._attend(_normed(h) * (1 + a) + b)
        h = h + gate2 * self.down(F.gelu(self.up(_normed(h) * (1 + c) + d)))
        return h, [e for e, _ in updates]

    def _attend(self, h: Tensor) -> Tensor:
        q, k, v = self.qkv(h).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.mix(_attention(q, k, v).transpose(1, 2).flatten(2))


class _Pairs(nn.Module):
    """One set of pairs in one block: a hidden state of each pair and its two units updates the pair, and both units.

    Units meet in products, as they do in training (a weight's gradient is a sum of products of an activation at one end
    and a gradient at the other), and a pair's message to one unit is multiplied by the other, as a weight passes on an
    activation.
    """

    def __init__(self, shapes: tuple[Shape, ...], ends: tuple[int, int], width: int, pair_width: int) -> None:
        super().__init__()
        starts = [sum(s.tokens for s in shapes[:end]) for end in ends]
        self.spans = [(start, start + shapes[end].tokens) for start, end in zip(starts, ends, strict=True)]
        self.pair, self.embedding = nn.Linear(pair_width, pair_width), nn.Linear(width, pair_width)
        self.ends = nn.ModuleList(nn.Linear(width, pair_width) for _ in ends)
        self.pair_out = _zero(nn.Linear(pair_width, pair_width))
        self.message_out = nn.ModuleList(_zero(nn.Linear(pair_width, width)) for _ in ends)

    def forward(
        self, h: Tensor, e: Float[Tensor, "batch pairs pair_width"], embedding: Float[Tensor, "batch width"]
    ) -> tuple[Tensor, Tensor]:
        a, b = (layer(_normed(h[:, i:j])) for layer, (i, j) in zip(self.ends, self.spans, strict=True))
        units = (a.unsqueeze(2) * b.unsqueeze(1)).flatten(1, 2)
        pair_hidden = F.gelu(self.pair(_normed(e)) + units + self.embedding(embedding).unsqueeze(1))
        grid = pair_hidden.unflatten(1, (a.shape[1], b.shape[1]))
        to_a = torch.einsum("nabw,nbw->naw", grid, b) / b.shape[1]
        to_b = torch.einsum("nabw,naw->nbw", grid, a) / a.shape[1]
        messages = torch.zeros_like(h)
        for layer, (i, j), message in zip(self.message_out, self.spans, (to_a, to_b), strict=True):
            messages[:, i:j] += layer(message)
        return e + self.pair_out(pair_hidden), messages


def _attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """In single precision on a CPU, where torch's bf16 attention goes back ten times slower."""
    if q.device.type != "cpu" or q.dtype != torch.bfloat16:
        return F.scaled_dot_product_attention(q, k, v)
    with torch.autocast("cpu", enabled=False):
        return F.scaled_dot_product_attention(q.float(), k.float(), v.float())


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


def build(params: TokenVelocity, dim: int, space: Tokens, source_std: float, conditions: int) -> VelocityTokens:
    """The network that parameters ask for, over the space's tokens."""
    del dim
    sizes = params.model_dump(exclude={"kind"})
    return VelocityTokens(space.shapes, space.variance, source_std, conditions, **sizes)


def cost(params: TokenVelocity, dim: int, space: Tokens) -> Cost:
    """That of its blocks."""
    units, pairs = (sum(s.tokens for s in space.shapes if (s.ends is None) == outer) for outer in (True, False))
    products = 12 * units * params.width**2 + 2 * pairs * params.pair_width**2
    activations = UNIT_ACTIVATIONS * units * params.width + PAIR_ACTIVATIONS * pairs * params.pair_width
    tokens = f"{units:,} units and {pairs:,} pairs of units"
    return Cost(params.depth * products, params.depth * activations + 4 * dim, tokens)
