"""The paper's velocity network (DeepWeightFlow, section 3.2 and appendix on flow models)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stages.flow.spaces.base import Space
from stages.flow.velocity.base import Cost
from stages.params.fit import Velocity


class VelocityMLP(nn.Module):
    """Widths h, h/2, h; LayerNorm, GELU and dropout; a two-layer embedding of t; output initialised at zero."""

    def __init__(self, dim: int, conditions: int, hidden: int, time_dim: int, dropout: float) -> None:
        super().__init__()
        self.conditions = conditions
        self.time = nn.Sequential(nn.Linear(1, time_dim), nn.GELU(), nn.Linear(time_dim, time_dim))
        self.body = nn.Sequential(
            *_block(dim + conditions + time_dim, hidden),
            nn.Dropout(dropout),
            *_block(hidden, hidden // 2),
            nn.Dropout(dropout),
            *_block(hidden // 2, hidden),
        )
        self.out = nn.Linear(hidden, dim)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(
        self,
        x: Float[Tensor, "batch dim"],
        t: Float[Tensor, " batch"],
        c: Float[Tensor, "batch conditions"] | None = None,
    ) -> Float[Tensor, "batch dim"]:
        """The velocity at x and t under the condition c (None: unconditional)."""
        condition = x.new_zeros(len(x), self.conditions) if c is None else c
        return self.out(self.body(torch.cat([x, condition, self.time(t.unsqueeze(1))], dim=1)))


def _block(fan_in: int, fan_out: int) -> list[nn.Module]:
    return [nn.Linear(fan_in, fan_out), nn.LayerNorm(fan_out), nn.GELU()]


def build(params: Velocity, dim: int, space: Space, source_std: float, conditions: int) -> VelocityMLP:
    """The network that parameters ask for; the space and its source don't matter to it."""
    del space, source_std
    return VelocityMLP(dim, conditions, params.hidden, params.time_dim, params.dropout)


def cost(params: Velocity, dim: int, space: Space) -> Cost:
    """That of its widest layers."""
    del space
    return Cost(2 * dim * params.hidden + params.hidden**2, 0, "")
