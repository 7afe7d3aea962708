"""Learning rates, optimizers and clipping, against torch's own."""

import pytest
import torch
from torch import nn

from stages.members.optimizer import clip, optimizer_for, relative_rate
from stages.params.zoo import Recipe


def recipe(**changes) -> Recipe:
    return Recipe(**({"lr": 0.1, "batch": 8, "epochs": 1} | changes))


def rates_of(scheduler_of, steps: int) -> list[float]:
    """What a scheduler of torch's, stepped once per step, makes of a learning rate of 1."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler, found = scheduler_of(optimizer), []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize(("steps", "warmup"), [(50, 0.3), (40, 0.1), (7, 0.5)])
def test_one_cycle_is_torch_s(steps, warmup):
    theirs = rates_of(lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 1.0, steps, pct_start=warmup), steps)
    ours = [relative_rate(recipe(schedule="one_cycle", warmup=warmup), step, steps) for step in range(steps)]
    assert ours == pytest.approx(theirs)


def test_cosine_is_torch_s():
    theirs = rates_of(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 30), 30)
    assert [relative_rate(recipe(schedule="cosine"), step, 30) for step in range(30)] == pytest.approx(theirs)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_a_warmup_rises_in_equal_steps_to_the_full_rate(schedule):
    found = [relative_rate(recipe(schedule=schedule, warmup=0.2), step, 50) for step in range(50)]
    assert found[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert found[10] == pytest.approx(1)
    assert (found[-1] < 0.01) == (schedule == "cosine")


def test_a_cycle_of_one_or_two_steps_has_rates():
    for steps in (1, 2, 3):
        found = [relative_rate(recipe(schedule="one_cycle", warmup=0.01), step, steps) for step in range(steps)]
        assert all(0 < value <= 1 for value in found)


@pytest.mark.parametrize(
    ("changes", "theirs"),
    [
        ({}, lambda w: torch.optim.Adam(w, 0.1)),
        ({"weight_decay": 0.2}, lambda w: torch.optim.Adam(w, 0.1, weight_decay=0.2)),
        ({"optimizer": "adamw", "weight_decay": 0.2}, lambda w: torch.optim.AdamW(w, 0.1, weight_decay=0.2)),
        (
            {"optimizer": "sgd", "momentum": 0.9, "nesterov": True},
            lambda w: torch.optim.SGD(w, 0.1, 0.9, nesterov=True),
        ),
    ],
)
def test_optimizers_do_as_torch_s_of_the_name(changes, theirs):
    start = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    found = []
    for make in (lambda w: optimizer_for(recipe(**changes), w), theirs):
        weight = start.clone().requires_grad_()
        optimizer = make([weight])
        for _ in range(3):
            optimizer.zero_grad()
            weight.pow(4).sum().backward()
            optimizer.step()
        found.append(weight.detach())
    assert torch.allclose(*found, rtol=1e-5)


def test_each_member_is_clipped_as_it_would_be_alone():
    sizes = torch.tensor([0.1, 1.0, 20.0])
    g = torch.Generator().manual_seed(0)
    weights = [torch.zeros(3, 4, 5, requires_grad=True), torch.zeros(3, requires_grad=True)]
    unused = torch.zeros(3, 2, requires_grad=True)
    for weight in weights:
        weight.grad = torch.randn(weight.shape, generator=g) * sizes.view(-1, *[1] * (weight.ndim - 1))
    before = [weight.grad.clone() for weight in weights]
    clip([*weights, unused], 2.0)
    for i in range(3):
        alone = [nn.Parameter(torch.zeros_like(grad[i])) for grad in before]
        for parameter, grad in zip(alone, before, strict=True):
            parameter.grad = grad[i].clone()
        nn.utils.clip_grad_norm_(alone, 2.0)
        for parameter, weight in zip(alone, weights, strict=True):
            assert torch.allclose(weight.grad[i], parameter.grad, rtol=1e-4)
    assert torch.equal(weights[0].grad[0], before[0][0]), "a short gradient is left alone"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"momentum": 0.9}, "adam has none"),
        ({"optimizer": "sgd", "nesterov": True}, "nesterov needs"),
        ({"schedule": "one_cycle"}, "one_cycle needs a warmup"),
    ],
)
def test_recipes_that_contradict_themselves_are_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        recipe(**changes)
