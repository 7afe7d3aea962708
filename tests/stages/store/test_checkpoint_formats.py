import argparse
import datetime as dt
import json
import os
import pathlib
import pickle
import sys
import types
from collections import OrderedDict, defaultdict

import numpy as np
import pytest
import torch
from foreign_checkpoints import convnet, save, trained
from torch import nn

from stages.errors import Damaged, DwfError, UsageError
from stages.store.checkpoint_formats import as_tensor, read_content

PLAIN = trained(0).state_dict()


def same(found, expected=PLAIN) -> bool:
    return found.keys() == expected.keys() and all(torch.equal(as_tensor(found[n]), expected[n]) for n in expected)


@pytest.mark.parametrize("name", ["checkpoints", "model_best.pth.tar", "a.weights", "a.safetensors", "a.pt"])
@pytest.mark.parametrize("ending", ["safetensors", "pt", "npz"])
def test_a_format_is_told_by_what_is_in_the_file(tmp_path, ending, name):
    path = save(tmp_path / f"made.{ending}", dict(PLAIN)).rename(tmp_path / name)
    assert same(read_content(path))


@pytest.mark.parametrize("name", ["checkpoints", "a.pth"])
def test_so_is_torch_s_older_one(tmp_path, name):
    torch.save(dict(PLAIN), tmp_path / name, _use_new_zipfile_serialization=False)
    assert same(read_content(tmp_path / name))


@pytest.mark.parametrize("ending", ["safetensors", "bin"])
def test_shards_are_read_by_their_index_as_one(tmp_path, ending):
    names = list(PLAIN)
    for i, part in enumerate((names[:3], names[3:])):
        save(tmp_path / "whole" / f"a{i}.{ending}", {n: PLAIN[n] for n in part})
    index = tmp_path / "whole" / f"a.{ending}.index.json"
    index.write_text(json.dumps({"weight_map": {name: f"a{int(name not in names[:3])}.{ending}" for name in names}}))
    assert same(read_content(index), PLAIN)
    (tmp_path / "whole" / f"a1.{ending}").unlink()
    with pytest.raises(Damaged, match=rf"a1\.{ending}: not readable"):
        read_content(index)


class AttributeDict(dict):
    """As Lightning keeps hyperparameters in."""


AttributeDict.__module__ = "lightning.fabric.utilities.data"


BESIDE = {
    "numpy scalar": np.float64(0.91),
    "numpy bool": np.bool_(True),
    "numpy text": np.str_("adam"),
    "Namespace": argparse.Namespace(lr=0.1, path=pathlib.Path("/data"), best=np.float32(0.5)),
    "SimpleNamespace": types.SimpleNamespace(lr=0.1, nested=argparse.Namespace(x=[1, 2])),
    "path": pathlib.PurePosixPath("runs/1"),
    "dates": [dt.datetime(2026, 1, 2, tzinfo=dt.UTC), dt.date(2026, 1, 2), dt.timedelta(seconds=3)],
    "defaultdict": defaultdict(list, {"loss": [1.0, 0.5]}),
    "ordered": OrderedDict(a=1),
    "arrays": {"confusion": np.eye(3), "names": np.array(["a", None], dtype=object)},
}


@pytest.mark.parametrize("kind", BESIDE)
@pytest.mark.parametrize("old", [False, True])
def test_settings_and_scores_beside_the_weights_do_no_harm(tmp_path, kind, old):
    torch.save({"model": PLAIN, "beside": BESIDE[kind]}, tmp_path / "a.pt", _use_new_zipfile_serialization=not old)
    assert same(read_content(tmp_path / "a.pt")["model"])


def test_so_do_hyperparameters_of_packages_that_are_not_here(tmp_path, monkeypatch):
    module = types.ModuleType(AttributeDict.__module__)
    module.AttributeDict = AttributeDict
    for name in ("lightning", "lightning.fabric", "lightning.fabric.utilities", module.__name__):
        monkeypatch.setitem(sys.modules, name, module)
    torch.save({"state_dict": PLAIN, "hyper_parameters": AttributeDict(lr=0.1)}, tmp_path / "a.ckpt")
    monkeypatch.undo()
    assert same(read_content(tmp_path / "a.ckpt")["state_dict"])


ARRAYS = {
    "float32": np.arange(6, dtype="f4").reshape(2, 3),
    "float64, by columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big-endian": np.arange(6, dtype=">f4").reshape(2, 3),
    "half": np.arange(6, dtype="f2").reshape(2, 3),
    "int8": np.arange(6, dtype="i1").reshape(2, 3),
    "scalar": np.array(3.0),
    "empty": np.empty((0, 2)),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_are_read_as_tensors_of_the_same_values(tmp_path, kind):
    array = ARRAYS[kind]
    torch.save({"w": array}, tmp_path / "a.pt")
    np.savez(tmp_path / "a.npz", w=array)
    for name in ("a.pt", "a.npz"):
        found = as_tensor(read_content(tmp_path / name)["w"])
        assert found is not None
        assert np.array_equal(found.numpy(), array)
        assert found.numpy().dtype == array.dtype.newbyteorder("=")


def test_arrays_of_anything_else_are_no_tensors(tmp_path):
    np.savez(tmp_path / "a.npz", words=np.array(["a", "b"]))
    assert as_tensor(read_content(tmp_path / "a.npz")["words"]) is None


class Trap:
    """Leaves a file where it was told to if it is unpickled, by what it was told to call."""

    def __init__(self, call, *args) -> None:
        self.call, self.args = call, args

    def __reduce__(self):
        return self.call, self.args


TRAPS = {
    "os.system": lambda path: Trap(os.system, f"touch {path}"),
    "builtins.exec": lambda path: Trap(exec, f"open({str(path)!r}, 'w').close()"),
    "builtins.eval": lambda path: Trap(eval, f"open({str(path)!r}, 'w').close()"),
    "pathlib.Path.touch": lambda path: Trap(pathlib.Path.touch, path),
    "in a Namespace": lambda path: argparse.Namespace(x=Trap(os.system, f"touch {path}")),
    "in an array": lambda path: np.array([Trap(os.system, f"touch {path}")], dtype=object),
    "in a defaultdict": lambda path: defaultdict(list, x=Trap(os.system, f"touch {path}")),
    "in a list in a Namespace": lambda path: argparse.Namespace(x=[{"y": Trap(os.system, f"touch {path}")}]),
}


@pytest.mark.parametrize("kind", TRAPS)
@pytest.mark.parametrize("old", [False, True])
def test_a_malicious_file_is_refused_and_runs_nothing(tmp_path, kind, old):
    content = {"model": PLAIN, "args": TRAPS[kind](tmp_path / "sprung")}
    torch.save(content, tmp_path / "a.pt", _use_new_zipfile_serialization=not old)
    with pytest.raises(UsageError, match=r"a\.pt: refused, as reading its \S+ would run code.*state_dict") as caught:
        read_content(tmp_path / "a.pt")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "sprung").exists()
    torch.load(tmp_path / "a.pt", weights_only=False)  # the trap works
    assert (tmp_path / "sprung").exists()


def test_nor_does_a_malicious_array_of_npz(tmp_path):
    np.savez(tmp_path / "a.npz", w=np.array([Trap(os.system, f"touch {tmp_path / 'sprung'}")], dtype=object))
    with pytest.raises(UsageError, match=r"a\.npz: refused, as it holds pickled objects; save arrays of numbers alone"):
        read_content(tmp_path / "a.npz")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("saved", [convnet(), {"model": convnet()}, {"optimizer": nn.Linear(2, 2)}])
def test_a_whole_module_is_refused_by_name(tmp_path, saved):
    torch.save(saved, tmp_path / "a.pt")
    with pytest.raises(UsageError, match=r"a\.pt: refused, as reading its torch\.nn\.modules\.\S+ would run code"):
        read_content(tmp_path / "a.pt")


def test_what_is_allowed_here_is_allowed_nowhere_else(tmp_path):
    torch.save({"args": argparse.Namespace(lr=0.1)}, tmp_path / "a.pt")
    read_content(tmp_path / "a.pt")
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "a.pt", weights_only=True)


@pytest.mark.filterwarnings("ignore:`torch.jit.*:FutureWarning", "ignore:.*TorchScript archive:UserWarning")
def test_a_torchscript_program_is_refused(tmp_path):
    torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / "a.pt"))
    with pytest.raises(UsageError, match=r"a\.pt: a TorchScript program, refused"):
        read_content(tmp_path / "a.pt")


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_plain_pickle_is_refused_with_the_way_out(tmp_path, protocol):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"w": [1.0]}, protocol=protocol))
    with pytest.raises(UsageError, match=r"a\.pkl: .*refused.*; write it anew by torch.save\(model.state_dict"):
        read_content(tmp_path / "a.pkl")


@pytest.mark.parametrize("ending", ["safetensors", "pt", "npz"])
@pytest.mark.parametrize("keep", [0, 1, 7, 100, -1, -30])
def test_a_file_that_is_not_whole_is_named(tmp_path, ending, keep):
    path = save(tmp_path / f"a.{ending}", dict(PLAIN))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(Damaged, match=rf"a\.{ending}: not a whole") as caught:
        read_content(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"hello, I am text\n" * 9, b"\x80\x02}q\x00.", b"PK\x03\x04 nothing"])
def test_a_file_of_another_kind_is_named(tmp_path, content):
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises((Damaged, UsageError), match=r"a\.pt: "):
        read_content(tmp_path / "a.pt")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            b"\x93NUMPY\x01",
            r" \(a bare numpy array, whose tensors have no names; source: matrix reads one with a table of them\)",
        ),
        (b"\x89HDF\r\n", r" \(an HDF5 file\)"),
        (b"\x1f\x8b\x08", r" \(compressed by gzip\)"),
        (b"step,loss\n", ""),
    ],
)
def test_so_is_what_no_checkpoint_begins_with(tmp_path, content, said):
    (tmp_path / "a.dat").write_bytes(content)
    with pytest.raises(
        UsageError, match=rf"a\.dat: not a checkpoint by its content{said}; expected safetensors, a file"
    ):
        read_content(tmp_path / "a.dat")


@pytest.fixture(scope="module")
def originals(tmp_path_factory) -> dict[str, bytes]:
    """One small file of each format, with an array and settings beside the weights."""
    folder = tmp_path_factory.mktemp("originals")
    weights = {"w": torch.ones(2)}
    content = {"model": weights, "args": argparse.Namespace(x=np.float64(1)), "array": np.ones(1)}
    save(folder / "a.safetensors", weights)
    save(folder / "a.npz", weights)
    torch.save(content, folder / "zip.pt")
    torch.save(content, folder / "old.pt", _use_new_zipfile_serialization=False)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


HARMS = {
    "one bit": lambda content, at: content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :],
    "all bits": lambda content, at: content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :],
    "the end": lambda content, at: content[:at],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.safetensors", "a.npz", "zip.pt", "old.pt"])
@pytest.mark.parametrize("harm", HARMS)
def test_a_file_with_wrong_bytes_anywhere_is_read_or_refused_in_one_line(tmp_path, originals, name, harm):
    path = tmp_path / name
    for at in range(len(originals[name])):
        path.write_bytes(HARMS[harm](originals[name], at))
        try:
            read_content(path)
        except DwfError as error:
            said = str(error)
        else:
            said = ""
        assert not said or said.startswith(f"{path}: ")
        assert "\n" not in said
