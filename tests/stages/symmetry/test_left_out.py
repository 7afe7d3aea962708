"""What keeps its order is named, with what keeps it, in few lines."""

import pytest
import torch
from small_networks import Net
from torch import Tensor, nn
from torch.nn import functional as F

from stages.symmetry.derive import derive
from stages.symmetry.table import Symmetry

INPUTS = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))


def hidden(forward) -> Net:
    return Net(lambda net, x: net.b(forward(net, net.a(x))), a=nn.Linear(4, 6), b=nn.Linear(6, 3))


def with_buffer(value: Tensor, stored: bool) -> Net:
    net = hidden(lambda net, h: (h + net.shift).relu())
    net.register_buffer("shift", value, persistent=stored)
    return net


@pytest.mark.parametrize("name", ["cumsum", "histc"])
def test_an_operation_that_reads_an_order_is_named_with_what_it_keeps(name: str):
    operations = {"cumsum": lambda net, h: h.cumsum(-1), "histc": lambda net, h: h + torch.histc(h, 4).sum()}
    found = derive(hidden(operations[name]), INPUTS)
    assert found.symmetry == Symmetry()
    known = "" if name == "cumsum" else ", which no rule knows"
    assert found.notes == (f"kept in order by {name}{known}: 3 axes (a.weight[0], a.bias[0], b.weight[1])",)


@pytest.mark.parametrize("stored", [True, False])
def test_constants_keep_the_order_along_axes_on_which_they_vary_only(stored: bool):
    names = {"shift"} if stored else set()
    flat = derive(with_buffer(torch.ones(6), stored), INPUTS, names)
    assert (sum(g.size for g in flat.symmetry.groups.values()), flat.notes) == (6, ())
    varied = derive(with_buffer(torch.arange(6.0), stored), INPUTS, names)
    line = "kept in order by the constant shift: 3 axes (a.weight[0], a.bias[0], b.weight[1])"
    assert (varied.symmetry, varied.notes) == (Symmetry(), (line,))


def test_a_stored_buffer_that_differs_between_networks_moves_with_its_units():
    found = derive(with_buffer(torch.arange(6.0), stored=True), INPUTS)
    assert "shift" in found.symmetry.tensors


def test_equal_layers_take_one_place():
    net = nn.Sequential(*(layer for _ in range(12) for layer in (nn.Linear(4, 4), nn.Softmax(-1))))
    assert derive(nn.Sequential(net, nn.Linear(4, 2)), INPUTS).notes == ()
    ordered = Net(lambda net, x: [x := layer(x).cumsum(-1) for layer in net.layers][-1], layers=net[::2])
    (line,) = derive(ordered, INPUTS).notes
    assert line == "kept in order by cumsum: 35 axes (layers.*.weight[0], layers.*.bias[0], layers.*.weight[1])"


def test_experts_read_one_by_one_are_named():
    def forward(net: Net, x: Tensor) -> Tensor:
        gates = net.gate(x).softmax(-1)
        return sum(gates[:, i : i + 1] * expert(x) for i, expert in enumerate(net.experts))  # type: ignore[return-value]

    experts = nn.ModuleList(nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)) for _ in range(3))
    found = derive(Net(forward, gate=nn.Linear(4, 3), experts=experts), INPUTS)
    assert len(found.symmetry.groups) == 3
    assert found.notes == ("kept in order by being read position by position: 2 axes (gate.weight[0], gate.bias[0])",)


def test_complex_weights_keep_their_order():
    def forward(net: Net, x: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(net.a(x[..., None]), dim=1)
        mixed = torch.fft.irfft(torch.einsum("bmi,io->bmo", spectrum, net.w), n=4, dim=1)
        return net.b(net.c(mixed).relu())

    weights = nn.Parameter(torch.randn(6, 5, dtype=torch.complex64))
    layers = {"a": nn.Linear(1, 6), "c": nn.Linear(5, 7), "b": nn.Linear(7, 2)}
    found = derive(Net(forward, w=weights, **layers), INPUTS)
    assert [group.size for group in found.symmetry.groups.values()] == [7]
    assert found.notes == ("kept in order by complex numbers: 5 axes (w[0], w[1], a.weight[0], a.bias[0] and 1 more)",)


def test_a_graph_that_depends_on_the_data_is_a_line(capfd: pytest.CaptureFixture[str]):
    found = derive(hidden(lambda net, h: h * 2 if h.sum() > 0 else h), INPUTS)
    assert found.symmetry == Symmetry()
    (line,) = found.notes
    assert line.startswith("no groups: torch.export finds no graph of this network that holds for all inputs (")
    assert "\n" not in line
    assert capfd.readouterr() == ("", "")


def test_a_network_s_own_fault_is_raised():
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        derive(nn.Linear(5, 2), INPUTS)


def test_what_a_network_remembers_of_earlier_runs_is_no_constant():
    class Caching(nn.Module):
        """Keeps what it computed from its weights at first, as some models do in evaluation."""

        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.scale = nn.Linear(4, 6), nn.Linear(6, 3), nn.Parameter(torch.randn(6))
            self.cache: dict[str, Tensor] = {}

        def forward(self, x: Tensor) -> Tensor:
            return self.b(F.relu(self.a(x)) * self.cache.setdefault("scale", self.scale.exp()))

    found = derive(Caching(), INPUTS)
    assert found.notes == ()
    assert [{a.tensor for a in group.axes} for group in found.symmetry.groups.values()] == [
        {"a.weight", "a.bias", "scale", "b.weight"}
    ]
