import argparse
import copy

import pytest
import torch
from foreign_checkpoints import convnet, prefixed, save, trained
from torch import nn

from stages.errors import Damaged, UsageError
from stages.store.checkpoint_files import read_checkpoint

PLAIN = trained(0).state_dict()
AVERAGE = trained(1).state_dict()


def same(found, expected) -> bool:
    return found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("ending", ["safetensors", "pt", "pth", "bin", "ckpt"])
def test_a_bare_state_dict_comes_back_from_every_format(tmp_path, ending):
    found = read_checkpoint(save(tmp_path / f"a.{ending}", dict(PLAIN)))
    assert same(found.tensors, PLAIN)
    assert found.notes == ()


CONTAINERS = {
    "state_dict": {"state_dict": PLAIN, "epoch": 3, "best": torch.tensor(0.9)},
    "model": {"model": PLAIN, "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": []}},
    "model_state_dict": {"model_state_dict": PLAIN, "loss": 0.5, "optimizer_state_dict": {"x": {"m": torch.ones(1)}}},
    "net": {"net": PLAIN, "acc": 94.1},
    "student": {"student": PLAIN, "optimizer": {"buffers": {"m": torch.ones(2)}}},
    "checkpoint.state_dict": {"checkpoint": {"state_dict": PLAIN, "step": 7}},
}


@pytest.mark.parametrize("where", CONTAINERS)
def test_what_a_training_loop_saved_is_unwrapped_and_said(tmp_path, where):
    found = read_checkpoint(save(tmp_path / "a.pt", CONTAINERS[where]))
    assert same(found.tensors, PLAIN)
    assert found.notes == (f"taken from {where!r}",)


def test_lightning_s_callbacks_are_not_taken_for_weights(tmp_path):
    saved = {
        "state_dict": prefixed(PLAIN, "model."),
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.ones(())}},
        "optimizer_states": [{"state": {}}],
        "pytorch-lightning_version": "2.0",
    }
    assert same(read_checkpoint(save(tmp_path / "a.ckpt", saved)).tensors, prefixed(PLAIN, "model."))


@pytest.mark.parametrize("name", ["ema", "model_ema", "state_dict_ema", "ema_state_dict"])
def test_weights_are_taken_unless_their_average_is_asked_for(tmp_path, name):
    path = save(tmp_path / "a.pt", {"state_dict": PLAIN, name: AVERAGE})
    plain, average = read_checkpoint(path), read_checkpoint(path, ema=True)
    assert same(plain.tensors, PLAIN)
    assert plain.notes[1] == f"moving average under '{name}' left aside (zoo.ema: true takes it)"
    assert same(average.tensors, AVERAGE)
    assert average.notes == (f"taken from '{name}'",)


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
@pytest.mark.parametrize("prefix", ["", "model."])
def test_an_average_beside_the_weights_in_one_flat_file_is_split_off(tmp_path, ending, prefix):
    saved = prefixed(PLAIN, prefix) | prefixed(AVERAGE, "model_ema.")
    path = save(tmp_path / f"a.{ending}", saved)
    assert same(read_checkpoint(path).tensors, prefixed(PLAIN, prefix))
    assert same(read_checkpoint(path, ema=True).tensors, AVERAGE)


def test_a_layer_that_happens_to_be_called_ema_stays(tmp_path):
    tensors = {"body.weight": torch.ones(2), "ema_gate.scale": torch.ones(1)}
    assert same(read_checkpoint(save(tmp_path / "a.pt", tensors)).tensors, tensors)


@pytest.mark.parametrize(
    ("saved", "ema", "said"),
    [
        (
            {"state_dict": PLAIN},
            True,
            r"a\.pt: holds no moving average \(ema\), under 'state_dict'; set zoo.ema: false",
        ),
        ({"ema": AVERAGE}, False, r"a\.pt: holds only a moving average, under 'ema'; set zoo.ema: true"),
        ({"generator": PLAIN, "critic": PLAIN}, False, r"a\.pt: holds several sets of tensors, 'generator', 'critic'"),
        ({"epoch": 3}, False, r"a\.pt: holds no named tensors \(dict\)"),
        ([torch.ones(2)], False, r"a\.pt: holds no named tensors \(list\)"),
        ({}, False, r"a\.pt: holds no named tensors"),
    ],
)
def test_a_file_that_does_not_say_what_is_meant_is_refused(tmp_path, saved, ema, said):
    with pytest.raises(UsageError, match=said) as caught:
        read_checkpoint(save(tmp_path / "a.pt", saved), ema)
    assert "\n" not in str(caught.value)


class Trap:
    """Leaves a trace if a file that holds it is unpickled."""

    sprung = False

    def __reduce__(self):
        return (spring, ())


def spring() -> None:
    Trap.sprung = True


@pytest.mark.parametrize(
    "saved",
    [
        convnet(),
        {"state_dict": PLAIN, "args": argparse.Namespace(lr=0.1)},
        {"state_dict": PLAIN, "x": Trap()},
        {"optimizer": nn.Linear(2, 2)},
    ],
)
@pytest.mark.parametrize("old", [False, True])
def test_a_file_that_would_run_code_is_refused_and_runs_none(tmp_path, saved, old):
    torch.save(saved, tmp_path / "a.pt", _use_new_zipfile_serialization=not old)
    with pytest.raises(UsageError, match=r"a\.pt: refused, as reading its \S+ would run code.*state_dict") as caught:
        read_checkpoint(tmp_path / "a.pt")
    assert "\n" not in str(caught.value)
    assert not Trap.sprung


def test_the_trap_works(tmp_path):
    torch.save(Trap(), tmp_path / "a.pt")
    torch.load(tmp_path / "a.pt", weights_only=False)
    assert Trap.sprung
    Trap.sprung = False


@pytest.mark.filterwarnings("ignore:`torch.jit.*:FutureWarning", "ignore:.*TorchScript archive:UserWarning")
def test_a_torchscript_program_is_refused(tmp_path):
    torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / "a.pt"))
    with pytest.raises(UsageError, match=r"a\.pt: a TorchScript program, refused"):
        read_checkpoint(tmp_path / "a.pt")


@pytest.mark.parametrize("ending", ["safetensors", "pt"])
@pytest.mark.parametrize("keep", [0, 1, 7, 100, -1, -30])
def test_a_file_that_is_not_whole_is_named(tmp_path, ending, keep):
    path = save(tmp_path / f"a.{ending}", dict(PLAIN))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(Damaged, match=rf"a\.{ending}: not a whole") as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"hello, I am text\n" * 9, b"\x80\x02}q\x00.", b"PK\x03\x04 nothing"])
def test_a_file_of_another_kind_is_named(tmp_path, content):
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises((Damaged, UsageError), match=r"a\.pt: "):
        read_checkpoint(tmp_path / "a.pt")


def test_a_name_that_is_no_checkpoint_s_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"a\.npz: not a checkpoint by its name; expected \.safetensors, \.pt"):
        read_checkpoint(tmp_path / "a.npz")


def test_what_is_read_is_the_file_s_own(tmp_path):
    saved = copy.deepcopy(dict(PLAIN))
    path = save(tmp_path / "a.pt", saved)
    saved["0.weight"].zero_()
    assert same(read_checkpoint(path).tensors, PLAIN)
