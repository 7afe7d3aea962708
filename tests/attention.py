"""A small attention layer, written in the ways that people write it."""

from torch import Tensor, nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Self-attention of two heads of three dimensions; queries, keys and values apart or in one projection."""

    def __init__(self, fused: str) -> None:
        super().__init__()
        self.fused = fused
        if fused == "apart":
            self.queries, self.keys, self.values = (nn.Linear(12, 6) for _ in range(3))
        else:
            self.qkv = nn.Linear(12, 18)
        self.out = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        b, n, _ = x.shape
        if self.fused == "apart":
            q, k, v = (layer(x).view(b, n, 2, 3).transpose(1, 2) for layer in (self.queries, self.keys, self.values))
        elif self.fused == "unbind":
            q, k, v = self.qkv(x).reshape(b, n, 3, 2, 3).permute(2, 0, 3, 1, 4).unbind(0)
        elif self.fused == "index":
            whole = self.qkv(x).view(b, n, 3, 2, 3).permute(2, 0, 3, 1, 4)
            q, k, v = whole[0], whole[1], whole[2]
        else:
            q, k, v = (part.view(b, n, 2, 3).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1))
        if self.fused == "chunk":
            mixed = F.scaled_dot_product_attention(q, k, v)
        else:
            mixed = (q @ k.transpose(-2, -1)).softmax(-1) @ v
        return self.out(mixed.transpose(1, 2).reshape(b, n, 6))
