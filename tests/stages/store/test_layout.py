import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import tensor_dicts
from torch import nn

from stages.errors import LayoutMismatch
from stages.store.layout import Layout

STATE = {"a.weight": torch.zeros(2, 3), "a.bias": torch.zeros(2), "count": torch.tensor(0.0)}
LAYOUT = Layout.of(STATE)
batches = st.lists(st.integers(1, 3), max_size=2).map(tuple)


@given(data=st.data(), batch=batches)
def test_flatten_and_unflatten_undo_each_other(data, batch):
    tensors = data.draw(tensor_dicts(batch))
    layout = Layout.of({name: t[(0,) * len(batch)] for name, t in tensors.items()})
    rows = layout.flatten(tensors)
    assert rows.shape == (*batch, layout.size)
    back = layout.unflatten(rows)
    assert list(back) == list(tensors)
    for name, tensor in tensors.items():
        assert torch.equal(back[name], tensor)
    assert torch.equal(layout.flatten(back), rows)


@given(tensors=tensor_dicts())
def test_rows_hold_tensors_end_to_end_in_state_dict_order(tensors):
    row = Layout.of(tensors).flatten(tensors)
    assert row.tolist() == [value for tensor in tensors.values() for value in tensor.flatten().tolist()]


@given(tensors=tensor_dicts())
def test_json_round_trip_keeps_the_layout_and_its_digest(tensors):
    layout = Layout.of(tensors)
    again = Layout.from_json(layout.to_json())
    assert again == layout
    assert again.digest == layout.digest


@pytest.mark.parametrize(
    "other",
    [
        {"b.weight": STATE["a.weight"], "a.bias": STATE["a.bias"], "count": STATE["count"]},
        {"a.bias": STATE["a.bias"], "a.weight": STATE["a.weight"], "count": STATE["count"]},
        {**STATE, "a.weight": torch.zeros(3, 2)},
        {**STATE, "a.bias": torch.zeros(2, dtype=torch.float64)},
        {"a.weight": STATE["a.weight"], "a.bias": STATE["a.bias"]},
    ],
    ids=["name", "order", "shape", "type", "count"],
)
def test_any_difference_changes_the_digest(other):
    assert Layout.of(other).digest != LAYOUT.digest


def test_unflatten_gives_views_not_copies():
    row = torch.zeros(LAYOUT.size)
    LAYOUT.unflatten(row)["a.bias"][1] = 7
    assert row[7] == 7


@pytest.mark.parametrize(
    ("tensors", "named"),
    [
        ({"a.weight": STATE["a.weight"], "count": STATE["count"]}, "'a.bias' is missing"),
        ({**STATE, "b.bias": torch.zeros(1)}, "'b.bias' isn't part"),
        ({**STATE, "a.weight": torch.zeros(3, 2)}, r"'a.weight' has shape \(3, 2\), expected \(2, 3\)"),
        ({**STATE, "a.bias": torch.zeros(())}, r"'a.bias' has shape \(\)"),
        ({**STATE, "a.bias": torch.zeros(5, 2)}, r"'a.bias' has shape \(5, 2\), expected \(2,\)"),
        ({**STATE, "count": torch.zeros(4)}, "'count' has shape"),
    ],
)
def test_errors_name_the_tensor(tensors, named):
    with pytest.raises(LayoutMismatch, match=named):
        LAYOUT.flatten(tensors)


@pytest.mark.parametrize("length", [8, 10])
def test_rows_of_another_length_are_refused(length):
    with pytest.raises(LayoutMismatch, match=f"{length} values where the layout holds 9"):
        LAYOUT.unflatten(torch.zeros(2, length))


def test_a_module_s_parameters_come_first_and_its_measured_buffers_last():
    module = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.BatchNorm2d(2), nn.Conv2d(2, 3, 1))
    layout = Layout.of_module(module)
    assert [slot.name for slot in layout.slots if slot.buffer] == ["1.running_mean", "1.running_var"]
    assert [slot.name for slot in layout.parameter_layout.slots] == [name for name, _ in module.named_parameters()]
    assert layout.slots[: len(layout.parameter_layout.slots)] == layout.parameter_layout.slots
    assert Layout.from_json(layout.to_json()) == layout


def test_a_tied_parameter_is_stored_once():
    module = nn.ModuleDict({"embedding": nn.Embedding(5, 3), "head": nn.Linear(3, 5, bias=False)})
    module["head"].weight = module["embedding"].weight
    assert [slot.name for slot in Layout.of_module(module).slots] == ["embedding.weight"]


def test_buffers_that_are_not_stored_are_left_out():
    module = nn.Linear(2, 2)
    module.register_buffer("grid", torch.arange(3.0), persistent=False)
    module.register_buffer("scale", torch.ones(1))
    assert [slot.name for slot in Layout.of_module(module).slots if slot.buffer] == ["scale"]


def test_only_buffers_may_hold_the_negative_infinity_of_a_mask():
    module = nn.Linear(2, 1, bias=False)
    module.register_buffer("mask", torch.zeros(2))
    rows = torch.ones(7, 4)
    rows[1, 0], rows[2, 0], rows[3, 0] = torch.nan, torch.inf, -torch.inf
    rows[4, 2], rows[5, 2], rows[6, 2] = torch.nan, torch.inf, -torch.inf
    assert Layout.of_module(module).finite(rows).tolist() == [True, False, False, False, False, False, True]


def test_weights_whose_squares_overflow_make_no_network_that_can_be_used():
    layout = Layout.of({"weight": torch.zeros(3)})
    rows = torch.tensor([[1e18, -1e18, 0.0], [1e20, 0.0, 0.0], [1e-30, 0.0, 0.0], [torch.nan, 0.0, 0.0]])
    assert layout.finite(rows).tolist() == [True, False, True, False]
