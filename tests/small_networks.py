"""Small networks, each with operations that a rule must know, and the units that can be permuted by hand."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Case(NamedTuple):
    """A network, the shape of its input, and its free units: each set's size by the places that it lies on."""

    network: Callable[[], nn.Module]
    shape: tuple[int, ...]
    units: dict[str, int]


class Net(nn.Module):
    """Layers by name, and what is computed with them."""

    def __init__(self, forward: Callable[..., Tensor], **layers: nn.Module | nn.Parameter | Tensor) -> None:
        super().__init__()
        for name, layer in layers.items():
            if isinstance(layer, Tensor) and not isinstance(layer, nn.Parameter):
                self.register_buffer(name, layer, persistent=False)
            else:
                setattr(self, name, layer)
        self.run = forward

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


def channels(between: nn.Module, inner: int = 6) -> Callable[[], nn.Module]:
    """Two convolutions with something in between, on grey images."""
    return lambda: nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), between, nn.ReLU(), nn.Conv2d(inner, 2, 3))


def hidden(forward: Callable[[Tensor], Tensor], inner: int, outer: int, *head: nn.Module) -> Callable[[], nn.Module]:
    """A function of one layer's units, read by a second layer."""
    return lambda: Net(
        lambda net, x: net.b(forward(net.a(x))), a=nn.Linear(4, inner), b=head[0] if head else nn.Linear(outer, 3)
    )


def rnn_cell() -> nn.Module:
    """A recurrent layer written by hand: its state starts at zero."""

    def forward(net: Net, x: Tensor) -> Tensor:
        state = torch.zeros(len(x), 7)
        for step in x.unbind(1):
            state = torch.tanh(net.inputs(step) + net.states(state))
        return net.out(state)

    return Net(forward, inputs=nn.Linear(4, 7), states=nn.Linear(7, 7), out=nn.Linear(7, 3))


def fused_bias() -> nn.Module:
    """Attention whose fused bias is put together from queries', none for keys, and values'."""

    def forward(net: Net, x: Tensor) -> Tensor:
        bias = torch.cat([net.query, net.key, net.value])
        q, k, v = F.linear(x, net.qkv.weight, bias).unflatten(-1, (3, 3, 4)).permute(2, 0, 3, 1, 4)
        return net.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))

    return Net(
        forward,
        qkv=nn.Linear(4, 36, bias=False),
        query=nn.Parameter(torch.randn(12)),
        key=torch.zeros(12),
        value=nn.Parameter(torch.randn(12)),
        out=nn.Linear(12, 3),
    )


def grouped_queries(grouped: bool) -> Callable[[], nn.Module]:
    """Four heads of queries that share two of keys and values, as an argument or by repetition."""

    def forward(net: Net, x: Tensor) -> Tensor:
        q, k, v = (f(x).unflatten(-1, (-1, 4)).transpose(1, 2) for f in (net.queries, net.keys, net.values))
        if not grouped:
            k, v = (z.repeat_interleave(2, 1) for z in (k, v))
        mixed = F.scaled_dot_product_attention(q, k, v, enable_gqa=grouped)
        return net.out(mixed.transpose(1, 2).flatten(2))

    return lambda: Net(
        forward,
        **{n: nn.Linear(4, w, bias=False) for n, w in {"queries": 16, "keys": 8, "values": 8}.items()},
        out=nn.Linear(16, 3),
    )


def recurrent(kind: type[nn.RNNBase], last: bool = False, **options: int | bool) -> Callable[[], nn.Module]:
    """A recurrent module of two directions or layers, read at its last time or by its last states."""

    def forward(net: Net, x: Tensor) -> Tensor:
        outputs, states = net.r(x)
        states = states[0] if isinstance(states, tuple) else states
        return net.out(torch.cat((states[-2], states[-1]), 1) if last else outputs[:, -1])

    wide = 10 if options.get("bidirectional") or last else 5
    return lambda: Net(forward, r=kind(4, 5, batch_first=True, **options), out=nn.Linear(wide, 3))


def relative_bias() -> nn.Module:
    """Heads with a table of biases by distance, looked up by a constant."""

    def forward(net: Net, x: Tensor) -> Tensor:
        q, k, v = net.qkv(x).unflatten(-1, (3, 2, 3)).permute(2, 0, 3, 1, 4)
        places = torch.arange(5)
        bias = net.table[places[:, None] - places + 4].permute(2, 0, 1)
        return net.out(((q @ k.mT + bias).softmax(-1) @ v).transpose(1, 2).flatten(2))

    return Net(forward, qkv=nn.Linear(4, 18), table=nn.Parameter(torch.randn(9, 2)), out=nn.Linear(6, 3))


def written_in_place() -> nn.Module:
    """Some channels replaced in place, as in partial convolutions."""

    def forward(net: Net, x: Tensor) -> Tensor:
        y = net.a(x).relu().clone()
        y[:, :2] = net.part(y[:, :2])
        return net.out(y.mean((2, 3)))

    return Net(forward, a=nn.Conv2d(1, 8, 3), part=nn.Conv2d(2, 2, 3, padding=1), out=nn.Linear(8, 3))


def response_normalized() -> nn.Module:
    """ConvNeXt V2's global response normalization."""

    def forward(net: Net, x: Tensor) -> Tensor:
        y = net.a(x)
        norm = torch.linalg.vector_norm(y, dim=(2, 3), keepdim=True)
        return net.b(y + net.scale[:, None, None] * y * norm / (norm.mean(1, keepdim=True) + 1e-6)).mean((2, 3))

    return Net(forward, a=nn.Conv2d(1, 6, 3), scale=nn.Parameter(torch.randn(6)), b=nn.Conv2d(6, 2, 1))


def codebook() -> nn.Module:
    """A soft codebook."""

    def forward(net: Net, x: Tensor) -> Tensor:
        return net.b((-torch.cdist(net.a(x), net.codes)).softmax(-1) @ net.values)

    codes, values = (nn.Parameter(torch.randn(9, 6)) for _ in range(2))
    return Net(forward, a=nn.Linear(4, 6), codes=codes, values=values, b=nn.Linear(6, 3))


def normed(norm: Callable[[nn.Module], nn.Module]) -> Callable[[], nn.Module]:
    """Weights that are computed from what is stored."""
    return lambda: nn.Sequential(norm(nn.Linear(4, 6)), nn.ReLU(), nn.Linear(6, 3))


def standardized() -> nn.Module:
    """A convolution whose weights are standardized by batch normalization, and seen in their own shape again."""

    def forward(net: Net, x: Tensor) -> Tensor:
        w = net.a.weight
        w = F.batch_norm(w.reshape(1, 6, -1), None, None, net.gain, None, training=True).reshape_as(w)
        return net.b(F.conv2d(x, w, net.a.bias).relu())

    return Net(forward, a=nn.Conv2d(1, 6, 3), gain=nn.Parameter(torch.rand(6) + 0.5), b=nn.Conv2d(6, 2, 3))


def equations() -> nn.Module:
    """A perceptron in Einstein's notation."""

    def forward(net: Net, x: Tensor) -> Tensor:
        return torch.einsum("...h,ho", torch.einsum("bi,ih->bh", x, net.a).relu(), net.b)

    return Net(forward, a=nn.Parameter(torch.randn(4, 8)), b=nn.Parameter(torch.randn(8, 3)))


def squeezed() -> nn.Module:
    """Channels gated by what they are on the whole, expanded to their image's shape."""

    def forward(net: Net, x: Tensor) -> Tensor:
        y = net.a(x)
        return net.b(y * net.gate(y.mean((2, 3))).sigmoid()[:, :, None, None].expand_as(y)).mean((2, 3))

    return Net(forward, a=nn.Conv2d(1, 6, 3), gate=nn.Linear(6, 6), b=nn.Conv2d(6, 2, 1))


def copies() -> nn.Module:
    """Three units, twice, each copy with a factor of its own."""

    def forward(net: Net, x: Tensor) -> Tensor:
        h = net.a(x)
        return net.b(torch.cat([h.repeat(1, 2) * net.c(x), h.repeat_interleave(2, 1) * net.d(x)], 1))

    return Net(forward, a=nn.Linear(4, 3), b=nn.Linear(12, 3), c=nn.Linear(4, 6), d=nn.Linear(4, 6))


def stepwise() -> nn.Module:
    """An LSTM's cell, step by step; its states are kept in a tensor that is read as a whole."""

    def forward(net: Net, x: Tensor) -> Tensor:
        state = cells = torch.zeros(len(x), 6)
        kept = torch.zeros(len(x), x.shape[1], 6)
        for i, step in enumerate(x.unbind(1)):
            state, cells = net.cell(step, (state, cells))
            kept[:, i] = state
        return net.b(kept.flatten(1))

    return Net(forward, cell=nn.LSTMCell(4, 6), b=nn.Linear(30, 3))


def rotated() -> nn.Module:
    """Rotary positions by complex numbers: pairs of queries and keys keep their order, heads and values don't."""

    def turn(x: Tensor) -> Tensor:
        pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)))
        angles = torch.arange(1.0, x.shape[-2] + 1)[:, None] / torch.tensor([1.0, 10.0])
        return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten(-2)

    def forward(net: Net, x: Tensor) -> Tensor:
        q, k, v = (f(x).unflatten(-1, (2, 4)).transpose(1, 2) for f in (net.queries, net.keys, net.values))
        mixed = F.scaled_dot_product_attention(turn(q), turn(k), v)
        return net.out(mixed.transpose(1, 2).flatten(2))

    layers = {name: nn.Linear(4, 8, bias=False) for name in ("queries", "keys", "values")}
    return Net(forward, **layers, out=nn.Linear(8, 3))


def unshuffled(x: Tensor) -> Tensor:
    """Units as 1x1 images, to pixels and back."""
    return F.pixel_unshuffle(F.pixel_shuffle(x[:, :, None, None], 2), 2).flatten(1)


CONV = {"0.weight[0] 0.bias[0] 3.weight[1]": 6}
HIDDEN = "a.weight[0] a.bias[0] b.weight[1]"
CASES = {
    "PReLU": Case(channels(nn.PReLU(6)), (1, 8, 8), {"0.weight[0] 0.bias[0] 1.weight[0] 3.weight[1]": 6}),
    "PReLU as wide as the image": Case(
        channels(nn.PReLU(6)), (1, 6, 6), {"0.weight[0] 0.bias[0] 1.weight[0] 3.weight[1]": 6}
    ),
    "PReLU with one slope": Case(channels(nn.PReLU()), (1, 6, 6), CONV),
    "largest values of regions": Case(channels(nn.AdaptiveMaxPool2d(4)), (1, 8, 8), CONV),
    "largest values of windows": Case(channels(nn.MaxPool2d(2)), (1, 8, 8), CONV),
    "instance norm": Case(
        channels(nn.InstanceNorm2d(6, affine=True)),
        (1, 8, 8),
        {"0.weight[0] 0.bias[0] 1.weight[0] 1.bias[0] 3.weight[1]": 6},
    ),
    "instance norm without parameters": Case(channels(nn.InstanceNorm2d(6)), (1, 8, 8), CONV),
    "transposed convolution": Case(
        channels(nn.ConvTranspose2d(6, 5, 3), 5),
        (1, 8, 8),
        {"0.weight[0] 0.bias[0] 1.weight[0]": 6, "1.weight[1] 1.bias[0] 3.weight[1]": 5},
    ),
    "transposed convolution in groups": Case(
        channels(nn.ConvTranspose2d(6, 6, 3, groups=6)),
        (1, 8, 8),
        {"0.weight[0] 0.bias[0] 1.weight[0] 1.bias[0] 3.weight[1]": 6},
    ),
    "pixel shuffle": Case(hidden(unshuffled, 12, 12), (4,), {HIDDEN: 3}),
    "gated linear units": Case(hidden(lambda h: F.glu(h, -1), 16, 8), (4,), {HIDDEN: 8}),
    "max over pairs": Case(
        hidden(lambda h: h.unflatten(-1, (8, 2)).max(-1)[0], 16, 8), (4,), {HIDDEN: 8, "a.weight[0] a.bias[0]": 2}
    ),
    "the largest of four": Case(
        hidden(lambda h: h.unflatten(-1, (4, 4)).topk(2)[0].flatten(1), 16, 8),
        (4,),
        {HIDDEN: 4, "a.weight[0] a.bias[0]": 4},
    ),
    "a condition": Case(hidden(lambda h: torch.where(h > 0, h, h.exp() - 1), 8, 8), (4,), {HIDDEN: 8}),
    "every other unit": Case(hidden(lambda h: h[:, ::2] * h[:, 1::2], 16, 8), (4,), {HIDDEN: 8}),
    "copies": Case(
        copies,
        (4,),
        {
            "a.weight[0] a.bias[0] c.weight[0] c.bias[0] d.weight[0] d.bias[0] b.weight[1]": 3,
            "c.weight[0] c.bias[0] b.weight[1]": 2,
            "d.weight[0] d.bias[0] b.weight[1]": 2,
        },
    ),
    "a sum along tokens": Case(hidden(lambda h: h.cumsum(1).roll(1, 1), 8, 8), (5, 4), {HIDDEN: 8}),
    "an orthogonal Fourier transform": Case(
        hidden(lambda h: torch.fft.rfft(h, dim=1).abs(), 8, 8), (5, 4), {HIDDEN: 8}
    ),
    "distances to a codebook": Case(
        codebook,
        (4,),
        {
            "a.weight[0] a.bias[0] codes[1]": 6,
            "codes[0] values[0]": 9,
            "values[1] b.weight[1]": 6,
        },
    ),
    "einsum": Case(equations, (4,), {"a[1] b[0]": 8}),
    "weight norm": Case(
        normed(nn.utils.parametrizations.weight_norm),
        (4,),
        {
            "0.bias[0] 0.parametrizations.weight.original0[0] 0.parametrizations.weight.original1[0] 2.weight[1]": 6,
        },
    ),
    "the old weight norm": Case(
        normed(nn.utils.weight_norm), (4,), {"0.bias[0] 0.weight_g[0] 0.weight_v[0] 2.weight[1]": 6}
    ),
    "spectral norm": Case(
        normed(nn.utils.parametrizations.spectral_norm),
        (4,),
        {"0.bias[0] 0.parametrizations.weight.original[0] 0.parametrizations.weight.0._u[0] 2.weight[1]": 6},
    ),
    "weights standardized and seen in their shape again": Case(
        standardized, (1, 8, 8), {"a.weight[0] a.bias[0] gain[0] b.weight[1]": 6}
    ),
    "gates expanded to their image": Case(
        squeezed, (1, 8, 8), {"a.weight[0] a.bias[0] gate.weight[0] gate.weight[1] gate.bias[0] b.weight[1]": 6}
    ),
    "global response norm": Case(response_normalized, (1, 8, 8), {"a.weight[0] a.bias[0] scale[0] b.weight[1]": 6}),
    "a recurrent layer by hand": Case(
        rnn_cell,
        (5, 4),
        {"inputs.weight[0] inputs.bias[0] states.weight[0] states.weight[1] states.bias[0] out.weight[1]": 7},
    ),
    "a fused bias in part constant": Case(
        fused_bias,
        (5, 4),
        {
            "qkv.weight[0] query[0] value[0] out.weight[1]": 3,
            "qkv.weight[0] query[0]": 4,
            "qkv.weight[0] value[0] out.weight[1]": 4,
        },
    ),
    "grouped queries": Case(
        grouped_queries(True),
        (5, 4),
        grouped := {
            "queries.weight[0] keys.weight[0] values.weight[0] out.weight[1]": 2,
            "queries.weight[0] out.weight[1]": 2,
            "queries.weight[0] keys.weight[0]": 4,
            "values.weight[0] out.weight[1]": 4,
        },
    ),
    "repeated keys and values": Case(grouped_queries(False), (5, 4), grouped),
    "a table of biases": Case(
        relative_bias,
        (5, 4),
        {
            "qkv.weight[0] qkv.bias[0] table[1] out.weight[1]": 2,
            "qkv.weight[0] qkv.bias[0]": 3,
            "qkv.weight[0] qkv.bias[0] out.weight[1]": 3,
        },
    ),
    "a bilinear map": Case(
        lambda: Net(
            lambda net, x: net.b(net.pair(net.a(x), x)), a=nn.Linear(4, 6), pair=nn.Bilinear(6, 4, 5), b=nn.Linear(5, 3)
        ),
        (4,),
        {"a.weight[0] a.bias[0] pair.weight[1]": 6, "pair.weight[0] pair.bias[0] b.weight[1]": 5},
    ),
    "an LSTM's cell": Case(
        stepwise,
        (5, 4),
        {"cell.weight_ih[0] cell.weight_hh[0] cell.weight_hh[1] cell.bias_ih[0] cell.bias_hh[0] b.weight[1]": 6},
    ),
    "complex rotations": Case(
        rotated,
        (5, 4),
        {
            "queries.weight[0] keys.weight[0] values.weight[0] out.weight[1]": 2,
            "values.weight[0] out.weight[1]": 4,
        },
    ),
    "channels written in place": Case(
        written_in_place,
        (1, 8, 8),
        {
            "a.weight[0] a.bias[0] part.weight[1]": 2,
            "a.weight[0] a.bias[0] out.weight[1]": 6,
            "part.weight[0] part.bias[0] out.weight[1]": 2,
        },
    ),
}


def layer(number: int, reverse: bool = False) -> str:
    """The places of a recurrent layer's own units."""
    end = f"{number}{'_reverse' if reverse else ''}"
    return f"r.weight_ih_l{end}[0] r.weight_hh_l{end}[0] r.weight_hh_l{end}[1] r.bias_ih_l{end}[0] r.bias_hh_l{end}[0]"


for kind in (nn.LSTM, nn.GRU, nn.RNN):
    name = kind.__name__
    CASES[name] = Case(recurrent(kind), (5, 4), {f"{layer(0)} out.weight[1]": 5})
    CASES[f"{name} of two layers"] = Case(
        recurrent(kind, num_layers=2),
        (5, 4),
        {f"{layer(0)} r.weight_ih_l1[1]": 5, f"{layer(1)} out.weight[1]": 5},
    )
    CASES[f"{name} in both directions, by its last states"] = Case(
        recurrent(kind, last=True, bidirectional=True),
        (5, 4),
        {f"{layer(0)} out.weight[1]": 5, f"{layer(0, reverse=True)} out.weight[1]": 5},
    )
CASES["a GRU's directions, read alike"] = Case(
    lambda: Net(
        lambda net, x: net.out(net.r(x)[1].sum(0)),
        r=nn.GRU(4, 5, batch_first=True, bidirectional=True),
        out=nn.Linear(5, 3),
    ),
    (5, 4),
    {f"{layer(0)} {layer(0, reverse=True)} out.weight[1]": 5},
)
