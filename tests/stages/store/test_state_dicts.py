import pytest
import torch
from foreign_checkpoints import convnet, prefixed, trained
from torch import nn
from torch.func import functional_call

from stages.errors import Diverged, LayoutMismatch
from stages.store.state_dicts import Expected

NET = trained(0)
STATE = NET.state_dict()
EXPECTED = Expected.of_module(convnet())


def match(state, expected: Expected = EXPECTED):
    return expected.match(state, "run3.pt")


def changed(**tensors):
    return dict(STATE) | {name.replace("__", "."): tensor for name, tensor in tensors.items()}


def test_a_matched_row_is_the_network_with_its_buffers():
    found = match(STATE)
    assert found.notes == ()
    inputs = torch.randn(5, 1, 8, 8)
    again = functional_call(convnet().eval(), EXPECTED.layout.unflatten(found.row), (inputs,))
    assert torch.equal(again, NET.eval()(inputs))


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod.", "model.net.backbone."])
def test_a_prefix_on_every_name_is_dropped_and_said(prefix):
    found = match(prefixed(STATE, prefix))
    assert torch.equal(found.row, match(STATE).row)
    assert len(found.notes) in (1, 2)
    assert all("dropped" in note for note in found.notes)


def test_wrappers_of_inner_modules_are_dropped_too():
    inner = {name.replace("0.", "0._orig_mod."): tensor for name, tensor in STATE.items()}
    assert torch.equal(match(inner).row, match(STATE).row)


def test_a_prefix_that_is_the_network_s_own_stays():
    wrapped = nn.Sequential()
    wrapped.add_module("model", convnet())
    expected = Expected.of_module(wrapped)
    found = expected.match(wrapped.state_dict(), "x")
    assert found.notes == ()
    with pytest.raises(LayoutMismatch, match=r"tensor 'model\.0\.weight' .* is missing"):
        match(STATE, expected)


def test_an_averaged_model_s_counter_does_not_hide_its_prefix():
    averaged = torch.optim.swa_utils.AveragedModel(NET)
    assert torch.equal(match(averaged.state_dict()).row, match(STATE).row)


def test_a_prefix_is_dropped_only_where_it_stands_and_the_rest_is_named():
    with pytest.raises(LayoutMismatch, match=r"run3.pt: tensor 'loss.weight' isn't part of zoo.network"):
        match(prefixed(STATE, "model.") | {"loss.weight": torch.ones(3)})
    with pytest.raises(LayoutMismatch, match=r"'teacher\.0\.weight' isn't part of zoo.network \(and 6 more\)"):
        match(prefixed(STATE, "model.") | prefixed(STATE, "teacher."))


def test_counters_may_be_there_or_not():
    assert "1.num_batches_tracked" in STATE
    without = {name: tensor for name, tensor in STATE.items() if not name.endswith("tracked")}
    assert torch.equal(match(without).row, match(STATE).row)


def test_a_counter_that_was_averaged_with_the_weights_is_one_still():
    averaged = {name: tensor * 0.9 + tensor * 0.1 for name, tensor in STATE.items()}
    assert averaged["1.num_batches_tracked"].is_floating_point()
    assert torch.allclose(match(averaged).row, match(STATE).row)


class Positions(nn.Module):
    """Keeps a buffer that isn't stored, as older files of transformers' BERT did store."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(2))
        self.register_buffer("ids", torch.arange(3), persistent=False)
        self.register_buffer("grid", torch.linspace(0, 1, 3), persistent=False)
        self.register_buffer("order", torch.tensor([2, 0, 1]))


def test_buffers_outside_of_rows_are_taken_where_they_are_the_module_s_own():
    own = {"ids": torch.arange(3), "grid": torch.linspace(0, 1, 3), "order": torch.tensor([2, 0, 1])}
    expected, w = Expected.of_module(Positions()), torch.rand(2)
    for state in ({"w": w}, {"w": w, **own}, {"w": w, "grid": own["grid"].bfloat16(), "order": own["order"].int()}):
        assert torch.equal(match(state, expected).row, w)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("order", torch.tensor([0, 1, 2])),  # of a normalizing flow that permutes its inputs, say
        ("ids", torch.arange(9)),
        ("grid", torch.linspace(0, 2, 3)),
        ("grid", torch.tensor([0, 1, 2])),
    ],
)
def test_other_values_outside_of_rows_are_refused_and_can_be_ignored(name, other):
    state = {"w": torch.rand(2), name: other}
    with pytest.raises(
        LayoutMismatch, match=rf"run3\.pt: buffer '{name}' .* other values .* zoo\.ignore: \['{name}'\]"
    ):
        match(state, Expected.of_module(Positions()))
    assert torch.equal(match(state, Expected.of_module(Positions(), ignore=(name,))).row, state["w"])


class Tied(nn.Module):
    """Input and output embedding are one tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(3, 2)
        self.head = nn.Linear(2, 3, bias=False)
        self.head.weight = self.embed.weight


@pytest.mark.parametrize("names", [["embed.weight"], ["head.weight"], ["embed.weight", "head.weight"]])
def test_tied_weights_are_taken_under_either_name(names):
    weight = torch.rand(3, 2)
    found = match(dict.fromkeys(names, weight), Expected.of_module(Tied()))
    assert torch.equal(found.row, weight.flatten())


def test_tied_weights_that_differ_are_refused():
    with pytest.raises(LayoutMismatch, match=r"run3.pt: 'head.weight' and 'embed.weight' differ, but zoo.network ties"):
        match({"embed.weight": torch.rand(3, 2), "head.weight": torch.rand(3, 2)}, Expected.of_module(Tied()))
    with pytest.raises(LayoutMismatch, match=r"differ"):
        match({"embed.weight": torch.rand(3, 2), "head.weight": torch.rand(2, 2)}, Expected.of_module(Tied()))


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float64"])
def test_other_floats_are_converted_and_said(kind):
    state = {name: t.to(getattr(torch, kind)) if t.is_floating_point() else t for name, t in STATE.items()}
    found = match(state)
    assert found.notes == (f"{kind} converted to float32",)
    assert found.row.dtype == torch.float32
    assert float((found.row - match(STATE).row).abs().max()) < 0.02


def test_mixed_types_are_all_said():
    found = match(changed(**{"0__weight": STATE["0.weight"].half(), "5__bias": STATE["5.bias"].double()}))
    assert found.notes == ("float16 converted to float32", "float64 converted to float32")


def without(*names: str):
    return {name: tensor for name, tensor in STATE.items() if name not in names}


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (without("5.bias"), r"run3.pt: tensor '5.bias' \(3,\) of zoo.network is missing"),
        (without("5.bias", "0.weight"), r"tensor '0.weight' \(4, 1, 3, 3\) of zoo.network is missing \(and 1 more\)"),
        (without("5.bias") | {"5.biases": torch.ones(3)}, r"'5.bias' .* is missing; did you mean '5.biases'"),
        (
            {**STATE, "6.weight": torch.ones(3)},
            r"run3.pt: tensor '6.weight' isn't part of zoo.network; zoo.ignore: .*; did you mean '.\.w",
        ),
        (
            without("1.running_mean", "1.running_var"),
            r"run3.pt: buffer '1.running_mean' \(4,\) .* is missing \(and 1 more\); save the whole state_dict",
        ),
        (
            changed(**{"5__weight": torch.ones(10, 4)}),
            r"run3.pt: tensor '5.weight' has shape \(10, 4\), but in .* \(3, 4\)",
        ),
        (changed(**{"5__weight": torch.ones(4, 3)}), r"tensor '5.weight' has shape \(4, 3\)"),
        (changed(**{"5__bias": torch.ones(3, dtype=torch.int8)}), "tensor '5.bias' holds int8 values"),
        (changed(**{"5__bias": torch.ones(3, dtype=torch.complex64)}), "tensor '5.bias' holds complex64 values"),
        (changed(**{"5__weight": torch.ones(3, 4).to_sparse()}), "tensor '5.weight' holds sparse float32 values"),
    ],
)
def test_what_does_not_fit_is_named_with_file_and_tensor(state, said):
    with pytest.raises(LayoutMismatch, match=said) as caught:
        match(state)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (float("nan"), torch.float32),
        (float("-inf"), torch.float16),
        (1e300, torch.float64),
    ],
)
def test_values_that_are_not_finite_are_counted_and_placed(value, dtype):
    bad = STATE["5.weight"].to(dtype).clone()
    bad[1, 2] = bad[2, 0] = value
    with pytest.raises(Diverged, match=r"run3.pt: tensor '5.weight' has 2 of 12 values that aren't finite .* \[1, 2\]"):
        match(changed(**{"5__weight": bad}))


def test_a_buffer_s_values_are_checked_as_well():
    with pytest.raises(Diverged, match=r"'1.running_var' has 4 of 4"):
        match(changed(**{"1__running_var": torch.full((4,), float("inf"))}))


class Masked(nn.Module):
    """A linear map, and an attention mask that it keeps as a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.register_buffer("mask", torch.full((3, 3), -torch.inf).triu(1))


def test_a_mask_with_the_module_s_own_infinities_is_read_as_it_is():
    state = Masked().state_dict()
    found = Expected.of_module(Masked()).match(state, "run3.pt")
    assert found.notes == ()
    assert torch.equal(Expected.of_module(Masked()).layout.unflatten(found.row)["mask"], state["mask"])


@pytest.mark.parametrize(
    ("name", "place", "value"), [("mask", (2, 0), -torch.inf), ("mask", (0, 1), torch.nan), ("layer.weight", (0, 1), 1)]
)
def test_other_infinities_than_the_module_s_are_refused(name, place, value):
    state = Masked().state_dict()
    state[name][place] = value if name == "mask" else -torch.inf
    with pytest.raises(
        Diverged, match=rf"tensor '{name}' has 1 of 9 values .* the first at \[{place[0]}, {place[1]}\]"
    ):
        Expected.of_module(Masked()).match(state, "run3.pt")
