import pytest
import torch
from hypothesis import given
from strategies import tensor_dicts

from stages.errors import Damaged
from stages.store.checkpoints import load_tensors, save_tensors
from stages.store.layout import Layout

TENSORS = {"w": torch.randn(3, 4), "n": torch.tensor(7), "flags": torch.tensor([True, False])}
FACTS = {"step": 5, "loss": 0.1 + 0.2, "who": "é", "more": [1, None]}


@given(tensors=tensor_dicts())
def test_tensors_come_back_as_they_were(tensors, tmp_path_factory):
    path = tmp_path_factory.mktemp("x") / "a.safetensors"
    save_tensors(path, tensors)
    back, facts = load_tensors(path)
    assert facts == {}
    assert back.keys() == tensors.keys()
    assert all(torch.equal(back[name], tensor) for name, tensor in tensors.items())


def test_types_and_facts_come_back_exactly(tmp_path):
    save_tensors(tmp_path / "a.safetensors", TENSORS, FACTS)
    back, facts = load_tensors(tmp_path / "a.safetensors")
    assert {name: t.dtype for name, t in back.items()} == {name: t.dtype for name, t in TENSORS.items()}
    assert torch.equal(back["n"], TENSORS["n"])
    assert facts == FACTS


def test_views_gradients_and_strides_do_not_matter(tmp_path):
    row = torch.randn(7, requires_grad=True)
    layout = Layout.of({"a": torch.zeros(2, 3), "b": torch.zeros(1)})
    tensors = layout.unflatten(row) | {"t": torch.arange(6.0).reshape(2, 3).T}
    save_tensors(tmp_path / "a.safetensors", tensors)
    back, _ = load_tensors(tmp_path / "a.safetensors")
    assert all(torch.equal(back[name], tensor) for name, tensor in tensors.items())


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    save_tensors(path, TENSORS)

    def die(*args, **kwargs):
        args[1].write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("stages.store.checkpoints.save_file", die)
    with pytest.raises(KeyboardInterrupt):
        save_tensors(path, {"w": torch.zeros(1)})
    assert load_tensors(path)[0].keys() == TENSORS.keys()


def test_a_save_replaces_the_old_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "a.safetensors"
    save_tensors(path, TENSORS)
    save_tensors(path, {"w": torch.zeros(1)}, {"step": 2})
    assert load_tensors(path)[1] == {"step": 2}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("keep", [0, 1, 7, 20, -1])
def test_a_truncated_file_is_damage_by_name(tmp_path, keep):
    path = tmp_path / "a.safetensors"
    save_tensors(path, TENSORS)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(Damaged, match=r"a\.safetensors: not a whole safetensors file"):
        load_tensors(path)


def test_a_missing_file_is_damage_by_name(tmp_path):
    with pytest.raises(Damaged, match=r"none\.safetensors"):
        load_tensors(tmp_path / "none.safetensors")
