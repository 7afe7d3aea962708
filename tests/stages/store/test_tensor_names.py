import warnings
from collections.abc import Callable

import pytest
import torch
from foreign_checkpoints import convnet, prefixed, trained
from torch import nn
from torch.func import functional_call

from stages.errors import LayoutMismatch
from stages.store.state_dicts import Expected

STATE = trained(0).state_dict()
ROW = Expected.of_module(convnet()).match(STATE, "x").row


def wrapped(wrap: Callable[..., nn.Module], **options) -> nn.Module:
    with warnings.catch_warnings(action="ignore", category=FutureWarning):  # the older ones are deprecated
        return nn.Sequential(wrap(nn.Linear(3, 5), **options), nn.ReLU(), wrap(nn.Linear(5, 2), **options))


OLD, NEW = torch.nn.utils, torch.nn.utils.parametrizations
NORMS = {
    "weight_norm": (OLD.weight_norm, NEW.weight_norm, {}),
    "weight_norm of the bias": (OLD.weight_norm, NEW.weight_norm, {"name": "bias"}),
    "spectral_norm": (OLD.spectral_norm, NEW.spectral_norm, {}),
}


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("to_new", [True, False])
def test_names_of_the_other_version_of_a_norm_are_taken_and_said(norm, prefix, to_new):
    old, new, options = NORMS[norm]
    torch.manual_seed(3)
    source, target = (old, new) if to_new else (new, old)
    net, blank = wrapped(source, **options).eval(), wrapped(target, **options).eval()
    expected = Expected.of_module(blank)
    found = expected.match(prefixed(net.state_dict(), prefix), "run3.pt")
    inputs = torch.randn(7, 3)
    assert torch.allclose(functional_call(blank, expected.layout.unflatten(found.row), (inputs,)), net(inputs))
    assert any("taken for" in note for note in found.notes)


@pytest.mark.parametrize("norm", NORMS)
def test_names_of_the_same_version_stay(norm):
    for wrap in NORMS[norm][:2]:
        net = wrapped(wrap, **NORMS[norm][2])
        assert Expected.of_module(net).match(net.state_dict(), "run3.pt").notes == ()


def match(state, rename=None, ignore=()):
    return Expected.of_module(convnet(), rename, ignore).match(state, "run3.pt")


EXTRAS = {
    "criterion.weight": torch.ones(3),
    "0.rotary.inv_freq": torch.ones(4),
    "5.rotary.inv_freq": torch.ones(4),
    "position_ids": torch.arange(3),
}


@pytest.mark.parametrize("prefix", ["", "model."])
def test_what_is_ignored_is_left_out_and_said(prefix):
    found = match(prefixed(STATE, prefix) | EXTRAS, ignore=("criterion.*", "*.inv_freq", "position_ids"))
    assert torch.equal(found.row, ROW)
    assert found.notes[-1] == "'criterion.weight' (and 3 more) left out (zoo.ignore)"


def test_the_error_names_patterns_that_leave_out_all_that_is_too_much():
    with pytest.raises(LayoutMismatch) as caught:
        match(prefixed(STATE, "model.") | EXTRAS)
    said = "zoo.ignore: ['criterion.weight', '*.inv_freq', 'position_ids'] leaves out what isn't"
    assert said in str(caught.value)
    assert torch.equal(match(STATE | EXTRAS, ignore=("criterion.weight", "*.inv_freq", "position_ids")).row, ROW)


def test_no_suggested_pattern_means_a_tensor_of_the_network():
    with pytest.raises(LayoutMismatch, match=r"zoo.ignore: \['0.extra', '0.more', '9.\*'\]"):
        match(STATE | {name: torch.ones(2) for name in ("0.extra", "0.more", "9.weight", "9.bias")})


def test_what_the_network_needs_is_missed_if_it_is_ignored():
    with pytest.raises(LayoutMismatch, match=r"tensor '5.bias' \(3,\) of zoo.network is missing"):
        match(STATE, ignore=("5.b*",))


OLDER = {f"features.{name}".replace("weight", "gamma"): tensor for name, tensor in STATE.items()}


def test_names_are_replaced_one_expression_after_the_other():
    assert torch.equal(match(OLDER, {r"^features\.": "", "gamma$": "weight"}).row, ROW)
    moved = {f"layer{name[0]}{name[1:]}": tensor for name, tensor in STATE.items()}
    assert torch.equal(match(moved, {r"^layer(\d)": r"\1"}).row, ROW)


def test_the_error_names_the_way_to_other_names():
    with pytest.raises(
        LayoutMismatch, match=r"tensor '0.weight' .* missing .*; zoo.rename gives a file's tensors other"
    ):
        match(OLDER)


@pytest.mark.parametrize("rename", [{r"^[05]\.weight": "9.weight"}, {r"^5\.bias": "5.weight"}])
def test_two_tensors_never_get_one_name(rename):
    assert torch.equal(match(STATE, rename).row, ROW)
