"""Each shape that checkpoints come in, imported by the zoo stage: exactly the plain state dict's values, or a line."""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from foreign_checkpoints import convnet, prefixed, save, trained
from torch import Tensor, nn

from stages.context import Context
from stages.errors import Diverged, DwfError, LayoutMismatch, UsageError
from stages.params.checkpoints import ImportedZoo
from stages.store.layout import Layout
from stages.store.weights import Shards
from stages.zoo import zoo

COUNT = 5
STATES = [dict(trained(seed, steps=2).state_dict()) for seed in range(COUNT)]
AVERAGES = [dict(trained(seed + 100, steps=2).state_dict()) for seed in range(COUNT)]
CONVNET = {"kind": "model", "model": "foreign_checkpoints:convnet", "input": [1, 8, 8]}
State = dict[str, Tensor]


@dataclass(frozen=True)
class Shape:
    """How one network is saved, which files to import and how, and what is to come of it."""

    content: Callable[[State, State], Any]
    """What is saved of the weights and their average."""
    file: str = "run{}.pt"
    pattern: str = "*.pt"
    zoo: dict[str, Any] = field(default_factory=dict)
    said: str = ""
    """Part of a note that every member has."""


def plain(state: State, _: State) -> State:
    return state


SHAPES = {
    "a bare state dict": Shape(plain),
    "an ImageNet script's": Shape(
        lambda s, _: {"epoch": 9, "state_dict": prefixed(s, "module."), "best_acc1": torch.tensor(76.1)},
        "run{}/model_best.pth.tar",
        "*/*.pth.tar",
        said="prefix 'module.' dropped",
    ),
    "Ray Tune's, without an ending": Shape(
        plain, "trial_{}_lr=0.1/checkpoint_000020/checkpoints", "trial_*/checkpoint_000020/checkpoints"
    ),
    "argparse's options": Shape(lambda s, _: {"model": s, "args": argparse.Namespace(lr=0.1, path=Path("x"))}),
    "numpy's scores": Shape(lambda s, _: {"model": s, "best_acc": np.float64(0.9)}),
    "numpy's arrays": Shape(lambda s, _: {name: tensor.numpy() for name, tensor in s.items()}),
    "npz": Shape(plain, "run{}.npz", "*.npz"),
    "safetensors": Shape(plain, "run{}.safetensors", "*.safetensors"),
    "Lightning's with a criterion": Shape(
        lambda s, _: {"state_dict": {**prefixed(s, "model."), "criterion.weight": torch.ones(3)}},
        "epoch=3-seed={}.ckpt",
        "*.ckpt",
        {"ignore": ("criterion.*",)},
        "'criterion.weight' left out (zoo.ignore)",
    ),
    "leftovers": Shape(
        lambda s, _: {**s, "0.inv_freq": torch.ones(4), "position_ids": torch.arange(3)},
        zoo={"ignore": ("*.inv_freq", "position_ids")},
    ),
    "other names": Shape(
        lambda s, _: {f"body.{n}".replace("weight", "gamma"): t for n, t in s.items()},
        zoo={"rename": {"^body": "model", "gamma$": "weight"}},
    ),
    "a GAN": Shape(lambda s, a: {"netG": s, "netD": a}, zoo={"key": "netG"}, said="taken from 'netG'"),
    "a student and its teacher": Shape(
        lambda s, a: prefixed(s, "student.") | prefixed(a, "teacher."), zoo={"key": "student."}
    ),
    "an average left aside": Shape(lambda s, a: {"model": s, "ema": a}, said="moving average under 'ema' left aside"),
    "brackets in a folder": Shape(plain, "lr=0.1,wd=[1e-4]/run{}.pt", "lr=0.1,wd=[1e-4]/*.pt"),
    "brackets in folders": Shape(plain, "{}/wd=[1e-4]/run.pt", "*/wd=[1e-4]/*.pt"),
    "a file to skip": Shape(plain, zoo={"skip": ("*last*",)}),
}


def params(folder: Path, shape: Shape, **changes) -> ImportedZoo:
    values = {"source": "checkpoints", "files": str(folder / shape.pattern), "network": CONVNET, "heldout": 2}
    return ImportedZoo.model_validate(values | shape.zoo | changes)


def imported(p: ImportedZoo, out: Path) -> tuple[dict[str, Any], Shards]:
    summary = zoo(p, Context(out=out, data_root=Path("/nonexistent"), threads=1))
    return summary, Shards(sorted((out / "shards").glob("*.zarr")))


def assert_are(store: Shards, states: list[State]) -> None:
    """The members are these networks, bit for bit, in the order of the numbers in their names."""
    layout = Layout.of_module(convnet())
    expected = torch.stack([layout.flatten({slot.name: s[slot.name] for slot in layout.slots}) for s in states])
    order = np.argsort(store.facts("file"))
    assert torch.equal(store.rows(0, len(store))[order], expected)


@pytest.mark.parametrize("kind", SHAPES)
def test_what_is_imported_is_what_was_saved(tmp_path, kind):
    shape = SHAPES[kind]
    for i in range(COUNT):
        save(tmp_path / "in" / shape.file.format(i), shape.content(STATES[i], AVERAGES[i]))
    if "skip" in kind:
        (tmp_path / "in" / "last.pt").write_bytes(b"torn")
    summary, store = imported(params(tmp_path / "in", shape), tmp_path / "out")
    assert_are(store, STATES)
    assert all(shape.said in note for note in store.facts("notes"))
    assert summary["files_left_out"] == int("skip" in kind)


MANY = {
    "a list": lambda states: states,
    "a dict": lambda states: {f"seed{i}": {"model": s, "epoch": i} for i, s in enumerate(states)},
    "stacked": lambda states: {name: torch.stack([s[name] for s in states]) for name in states[0]},
    "a module list": lambda states: {f"nets.{i}.{n}": t for i, s in enumerate(states) for n, t in s.items()},
}


@pytest.mark.parametrize("kind", MANY)
def test_many_networks_in_files_are_members_shard_by_shard(tmp_path, kind):
    save(tmp_path / "in" / "zoo0.pt", MANY[kind](STATES))
    save(tmp_path / "in" / "zoo1.pt", MANY[kind](AVERAGES))
    p = params(tmp_path / "in", Shape(plain), shard_size=3)
    summary, store = imported(p, tmp_path / "out")
    assert_are(store, STATES + AVERAGES)
    assert [len(part) for part in store.parts] == [3, 3, 3, 1]
    position = "seed3" if kind == "a dict" else "0003"
    assert {f"zoo0.pt:{position}", f"zoo1.pt:{position}"} <= set(store.facts("file"))
    assert list(store.facts("split")) == ["train"] * 8 + ["held-out"] * 2
    assert summary["notes"] == {"one of 5 networks in its file": 10}
    fewer, _ = imported(params(tmp_path / "in", Shape(plain), members=3), tmp_path / "fewer")
    assert (fewer["networks"], fewer["files_left_out"]) == (5, 5)


def test_a_network_that_is_in_two_files_is_refused_by_both_names(tmp_path):
    save(tmp_path / "in" / "zoo.pt", STATES)
    save(tmp_path / "in" / "again.pt", prefixed(STATES[2], "module."))
    with pytest.raises(UsageError, match=r"zoo.pt:0002 hold the same|zoo.pt:0002 and again.pt hold the same network"):
        imported(params(tmp_path / "in", Shape(plain)), tmp_path / "out")


@pytest.mark.parametrize("pattern", ["*/*.safetensors", "*/*.index.json", "*/*"])
def test_shards_of_a_large_checkpoint_are_one_member(tmp_path, pattern):
    for i, state in enumerate(STATES):
        names, folder = list(state), tmp_path / "in" / f"net{i}"
        files = {name: f"model-0000{1 + (k > 2)}-of-00002.safetensors" for k, name in enumerate(names)}
        for file in set(files.values()):
            save(folder / file, {name: state[name] for name in names if files[name] == file})
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
    p = params(tmp_path / "in", Shape(plain, pattern=pattern))
    before = p.fingerprint()
    summary, store = imported(p, tmp_path / "out")
    assert_are(store, STATES)
    assert store.facts("file")[0].endswith("model.safetensors.index.json")
    assert summary["files_left_out"] == 0
    save(tmp_path / "in" / "net0" / "model-00002-of-00002.safetensors", {names[-1]: torch.zeros(1)})
    assert p.fingerprint() != before


def test_the_average_is_what_is_imported_when_asked_for(tmp_path):
    for i in range(COUNT):
        inner = prefixed(STATES[i], "online_model.") | prefixed(AVERAGES[i], "ema_model.")
        save(tmp_path / "in" / f"{i}.pt", {"model": STATES[i], "ema": {**inner, "step": torch.tensor(3)}})
    _, store = imported(params(tmp_path / "in", Shape(plain), ema=True), tmp_path / "out")
    assert_are(store, AVERAGES)
    assert set(store.facts("notes")) == {"taken from 'ema.ema_model'"}


REFUSED = {
    "a whole module": (lambda s, a: trained(0), UsageError, "would run code that comes with the file"),
    "a module in a container": (lambda s, a: {"model": nn.Linear(2, 2), "ema": None}, UsageError, "would run code"),
    "a GAN": (lambda s, a: {"netG": s, "netD": a}, UsageError, "'netG', 'netD'; zoo.key: netG takes one of them"),
    "a criterion": (
        lambda s, a: {"state_dict": {**prefixed(s, "model."), "criterion.weight": torch.ones(3)}},
        LayoutMismatch,
        "tensor 'criterion.weight' isn't part of zoo.network; zoo.ignore: ['criterion.weight']",
    ),
    "no names": (lambda s, a: list(s.values()), UsageError, "holds no named tensors (list)"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_wrong_with_all_files_is_said_once(tmp_path, kind):
    content, error, said = REFUSED[kind]
    for i in range(COUNT):
        save(tmp_path / "in" / f"run{i}.pt", content(STATES[i], AVERAGES[i]))
    with pytest.raises(error) as caught:
        imported(params(tmp_path / "in", Shape(plain)), tmp_path / "out")
    assert f"run0.pt: {said}" in str(caught.value) or said in str(caught.value)
    assert str(caught.value).endswith("; the same in run1.pt, run2.pt, run3.pt, run4.pt")


@pytest.mark.parametrize("shard_size", [1, 2, 99])
def test_all_members_that_are_not_finite_are_listed_whatever_their_shards(tmp_path, shard_size):
    states = [{name: tensor.clone() for name, tensor in state.items()} for state in STATES + AVERAGES]
    for i in (2, 7):
        states[i]["5.weight"][0, 0] = float("nan")
    states[4]["1.running_var"][1] = float("inf")
    for i, state in enumerate(states):
        save(tmp_path / "in" / f"run{i}.pt", state)
    p = params(tmp_path / "in", Shape(plain), shard_size=shard_size)
    with pytest.raises(Diverged) as caught:
        imported(p, tmp_path / "out")
    said = str(caught.value)
    assert "run2.pt: tensor '5.weight' has 1 of 12 values that aren't finite" in said
    assert "; the same in run7.pt; " in said
    assert "run4.pt: tensor '1.running_var' has 1 of 4" in said
    assert said.endswith("zoo.skip: ['run2.pt', 'run4.pt', 'run7.pt'] leaves them out")
    skipped = params(tmp_path / "in", Shape(plain), shard_size=shard_size, skip=("run2.pt", "run4.pt", "run7.pt"))
    summary, _ = imported(skipped, tmp_path / "sound")
    assert (summary["networks"], summary["files_left_out"]) == (7, 3)


def test_a_network_of_many_that_does_not_fit_is_named(tmp_path):
    save(tmp_path / "in" / "zoo.pt", [*STATES, convnet(width=5).state_dict()])
    with pytest.raises(LayoutMismatch, match=r"zoo.pt:0005: tensor '0.weight' has shape .*zoo.skip: \['zoo.pt:0005'\]"):
        imported(params(tmp_path / "in", Shape(plain)), tmp_path / "out")
    _, store = imported(params(tmp_path / "in", Shape(plain), skip=("zoo.pt:0005",)), tmp_path / "out")
    assert_are(store, STATES)


def test_a_failure_is_always_one_line(tmp_path):
    for i in range(COUNT):
        save(tmp_path / "in" / f"run{i}.pt", STATES[i] if i else {"x": torch.ones(2)})
    (tmp_path / "in" / "run1.pt").write_bytes(b"")
    with pytest.raises(DwfError) as caught:
        imported(params(tmp_path / "in", Shape(plain)), tmp_path / "out")
    assert "\n" not in str(caught.value)
