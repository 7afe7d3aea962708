"""BatchNorm's running statistics, measured anew: against their definition, and against another network's."""

import pytest
import torch
from strategies import assert_close
from torch import nn
from torch.func import functional_call

from stages.nets.normalisation import reestimate
from stages.nets.stacked import outputs
from stages.store.layout import Layout

INPUTS = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Dropout(0.5), nn.Linear(5, 3))


def rows_for(module: nn.Module, count: int = 3) -> tuple[Layout, torch.Tensor]:
    layout = Layout.of_module(module)
    return layout, torch.randn(count, layout.size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("batch", [60, 20, 15])
def test_statistics_are_averages_of_the_batches_moments(batch):
    """The theory, for Linear then BatchNorm; what the rows say of running statistics plays no part."""
    layout, rows = rows_for(network())
    found = reestimate(network(), layout, rows, INPUTS, batch)
    state = layout.unflatten(rows)
    for i in range(3):
        activations = INPUTS @ state["0.weight"][i].T + state["0.bias"][i]
        parts = torch.stack(activations.split(batch))
        assert_close(found["1.running_mean"][i], activations.mean(0), 1e-5)
        assert_close(found["1.running_var"][i], parts.var(1, correction=1).mean(0), 1e-5)


def test_an_incomplete_last_batch_has_no_say_unless_it_is_the_only_one():
    layout, rows = rows_for(network())
    whole = reestimate(network(), layout, rows, INPUTS[:40], 20)
    more = reestimate(network(), layout, rows, INPUTS[:47], 20)
    assert all(torch.equal(whole[name], more[name]) for name in whole)
    single = reestimate(network(), layout, rows, INPUTS[:7], 20)
    assert bool(torch.isfinite(single["1.running_var"]).all())


def test_parameters_alone_are_enough():
    layout, rows = rows_for(network())
    short = reestimate(network(), layout.parameter_layout, rows[:, : layout.parameter_layout.size], INPUTS, 20)
    full = reestimate(network(), layout, rows, INPUTS, 20)
    assert set(short) == {"1.running_mean", "1.running_var"}
    assert all(torch.equal(short[name], full[name]) for name in full)


def test_outputs_use_the_statistics_and_another_network_s_give_others():
    layout, rows = rows_for(network())
    module, drawn = network(), layout.parameter_layout
    found = reestimate(module, layout, rows, INPUTS, 60)
    parameters = rows[:, : drawn.size]
    own = outputs(module, drawn, parameters, INPUTS, found)
    for i in range(3):
        module.eval()
        state = drawn.unflatten(parameters[i]) | {name: tensor[i] for name, tensor in found.items()}
        assert_close(own[i], functional_call(module, state, (INPUTS,)), 1e-5)
    swapped = outputs(module, drawn, parameters, INPUTS, {name: tensor.roll(1, 0) for name, tensor in found.items()})
    assert float((own - swapped).abs().amax((1, 2)).min()) > 0.1


def test_instance_norm_s_statistics_are_averages_too():
    module = nn.Sequential(nn.Conv2d(1, 3, 3), nn.InstanceNorm2d(3, track_running_stats=True), nn.Flatten())
    images = torch.randn(20, 1, 5, 5, generator=torch.Generator().manual_seed(2))
    layout, rows = rows_for(module)
    found = reestimate(module, layout, rows, images, 5)
    state = layout.unflatten(rows)
    for i in range(3):
        channels = nn.functional.conv2d(images, state["0.weight"][i], state["0.bias"][i]).flatten(2)
        assert_close(found["1.running_mean"][i], channels.mean((0, 2)), 1e-5)
        assert_close(found["1.running_var"][i], channels.var(2, correction=1).mean(0), 1e-5)


def test_statistics_are_measured_with_the_networks_other_buffers():
    class Shifted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(4)
            self.register_buffer("shift", torch.zeros(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.norm(x + self.shift)

    layout, rows = rows_for(Shifted())
    shifts = torch.tensor([[0.0] * 4, [1.0] * 4, [5.0] * 4])
    found = reestimate(Shifted(), layout, rows, INPUTS, 60, {"shift": shifts, "norm.running_mean": shifts + 9})
    assert_close(found["norm.running_mean"], INPUTS.mean(0) + shifts, 1e-5)


def test_the_module_itself_is_left_alone():
    module = network().train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    layout, rows = rows_for(module)
    reestimate(module, layout, rows, INPUTS, 20)
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert module[1].momentum == 0.1
    assert module[3].training


def test_networks_without_batchnorm_have_no_statistics():
    module = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3), nn.BatchNorm1d(3, track_running_stats=False))
    layout, rows = rows_for(module)
    assert reestimate(module, layout, rows, INPUTS, 20) == {}
