"""Power cuts: whatever a crash leaves of a write, nothing false counts as complete and a new run ends in the same."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from crash_recorder import Data, Names, Sync, recorded
from crash_states import crash_states
from crash_verdicts import not_healed, violations
from pydantic import BaseModel
from strategies import make_artifact

from stages import content_hashes
from stages.content_hashes import file_hash, remembered_in
from stages.context import Context
from stages.evaluate import _unit
from stages.evaluation.finetune.fine_tune_run import cached
from stages.store import artifact as artifact_module
from stages.store import files as files_module
from stages.store import weights as weights_module
from stages.store.arrays import Named, is_complete, open_group, read, write_arrays
from stages.store.artifact import artifact_path, building, note_latest, publish, read_latest
from stages.store.checkpoints import load_tensors, save_tensors
from stages.store.chunks import ChunkPlan
from stages.store.layout import Layout
from stages.store.weights import WeightsWriter

KEY = ("pack", "k1")
LAYOUT = Layout.of({"w": torch.zeros(6)})
ROWS = torch.arange(24.0).reshape(4, 6)


def published(root: Path) -> str:
    digest = make_artifact(root).digest
    note_latest(root, "pack", "test", "k1")
    return digest


def resumable(root: Path) -> str:
    """As stages write networks: by chunks, going on where an earlier run stopped, then published."""
    with building(root, "pack", "k1") as work:
        work.mkdir(exist_ok=True)
        writer = WeightsWriter(work / "weights.zarr", LAYOUT, list("abcd"), {})
        for start, stop in list(writer.missing()):
            writer.write(start, ROWS[start:stop])
        writer.finish({"seed": np.arange(4)})
        return publish(work, artifact_path(root, "pack", "k1"), _about()).digest


def _about() -> dict[str, Any]:
    facts: dict[str, Any] = {name: {} for name in ("params", "upstream", "code", "versions", "summary")}
    facts |= dict.fromkeys(("stage", "key", "experiment", "created", "device"), "")
    return facts | {"format_version": 1, "seconds": 1.0, "threads": 1, "peak_memory_mb": 1.0}


@pytest.fixture(autouse=True)
def two_by_three(monkeypatch):
    """Two rows of two chunks."""
    monkeypatch.setattr(weights_module, "plan_chunks", lambda *shape: ChunkPlan((2, 3), None))


@pytest.mark.parametrize("run", [published, resumable])
def test_no_crash_leaves_a_false_artifact_loses_one_or_keeps_a_new_run_from_ending_in_the_same(tmp_path, run):
    with recorded(tmp_path) as record:
        digest = run(tmp_path)
        record.done("pack/k1")
    assert violations(record, {KEY: digest}, 20) == []
    assert list(not_healed(record, run, digest, 12)) == []
    assert {type(step) for step in record.steps} >= {Names, Data, Sync}


def test_a_crash_while_a_damaged_artifact_is_replaced_leaves_nothing_false(tmp_path):
    digest = make_artifact(tmp_path).digest
    (artifact_path(tmp_path, "pack", "k1") / "notes.json").write_text("longer than it was")
    with recorded(tmp_path) as record:
        make_artifact(tmp_path)
        record.done("pack/k1")
    assert violations(record, {KEY: digest}, 20) == []


class Unit(BaseModel):
    values: list[int]


def units(root: Path) -> list[Any]:
    """As evaluate keeps what it measured: read where it is there, else computed and written."""
    context = Context(root)
    parts = [_unit(context, name, Unit, lambda: Unit(values=[1, 2, 3])).values for name in ("generated", "noise 0.1")]
    return [*parts, cached(root, "run", "members", lambda: torch.ones(2, 3)).tolist()]


def blocks(root: Path) -> list[Any]:
    """As canonicalize keeps its passes, and the zoo its shards."""
    for number in range(2):
        if not is_complete(path := root / f"{number}.zarr"):
            write_arrays(path, "alignment", {"perm": Named(("unit",), np.arange(5) + number)}, {})
    return [read(open_group(root / f"{number}.zarr"), "perm").tolist() for number in range(2)]


def tensors(root: Path) -> float:
    """A safetensors file, which another language writes."""
    if not (path := root / "velocity.safetensors").exists():
        save_tensors(path, {"w": torch.arange(40.0)}, {"dim": 40})
    return float(load_tensors(path)[0]["w"].sum())


def listing(root: Path) -> list[tuple[str, str]]:
    """The `latest` of two experiments, one of them run twice."""
    (root / "3_packed").mkdir(exist_ok=True)
    for experiment, key in (("iris", "k1"), ("mnist", "k2"), ("iris", "k3")):
        note_latest(root, "pack", experiment, key)
    return [line[1:] for line in read_latest(root, "pack")]


RESUMED = (units, blocks, tensors, listing)


@pytest.mark.parametrize("run", RESUMED)
def test_whatever_a_crash_leaves_of_finished_units_a_new_run_goes_on_from_there(tmp_path, run):
    with recorded(tmp_path) as record:
        expected = run(tmp_path)
    assert list(not_healed(record, run, expected, 30)) == []


def test_a_listing_is_whole_after_any_crash(tmp_path):
    with recorded(tmp_path) as record:
        listing(tmp_path)
    held = {state.tree.get("3_packed/latest") for state in crash_states(record)}
    names = [[line.split()[1:] for line in text.decode().splitlines()] for text in held if text is not None]
    iris, mnist, again = ["iris", "k1"], ["mnist", "k2"], ["iris", "k3"]
    assert sorted(names) == sorted([[iris], [iris, mnist], [mnist, again]])


def test_remembered_hashes_that_are_torn_count_as_none(tmp_path):
    (tmp_path / "data").mkdir()
    file, memory = tmp_path / "data" / "large", tmp_path / ".hashes.json"
    file.write_bytes(bytes(2**20))
    os.utime(file, (0, 0))

    def hashed(root: Path) -> str:
        content_hashes._hash.cache_clear()
        with remembered_in(root / memory.name):
            return file_hash(file)

    with recorded(tmp_path) as record:
        expected = hashed(tmp_path)
    assert memory.exists()
    assert any(state.tree.get(memory.name) == b"" for state in crash_states(record)), "it isn't flushed"
    assert list(not_healed(record, hashed, expected, 30)) == []


def _nothing(*_: object) -> None:
    """In place of what makes writes durable."""


def test_negative_control_a_publish_without_its_flush_is_found_out(tmp_path, monkeypatch):
    monkeypatch.setattr(artifact_module, "flush", _nothing)
    with recorded(tmp_path) as record:
        digest = published(tmp_path)
    assert any("counts as complete, but" in line for line in violations(record, {KEY: digest}, 20))


def test_negative_control_a_publish_that_flushes_no_folder_is_found_out(tmp_path, monkeypatch):
    monkeypatch.setattr(artifact_module, "flush_one", _nothing)
    with recorded(tmp_path) as record:
        digest = published(tmp_path)
        record.done("pack/k1")
    assert violations(record, {KEY: digest}, 20) == ["pack/k1 was lost after it had been reported"]


def test_negative_control_a_manifest_that_comes_first_is_found_out(tmp_path):
    digest = make_artifact(tmp_path).digest
    final = artifact_path(tmp_path, *KEY)
    notes, manifest = (final / "notes.json").read_bytes(), (final / "manifest.json").read_bytes()
    (final / "manifest.json").unlink()
    (final / "notes.json").unlink()
    with recorded(tmp_path) as record:
        files_module.write_json(final / "manifest.json", json.loads(manifest))
        (final / "notes.json").write_bytes(notes)
    assert any("counts as complete, but notes.json" in line for line in violations(record, {KEY: digest}, 20))


def test_negative_control_files_that_are_replaced_unflushed_are_found_out(tmp_path, monkeypatch):
    monkeypatch.setattr(files_module, "flush_one", _nothing)
    with recorded(tmp_path) as record:
        expected = tensors(tmp_path)
    assert list(not_healed(record, tensors, expected, 30))


def test_units_with_checksums_would_heal_even_unflushed(tmp_path, monkeypatch):
    monkeypatch.setattr(files_module, "flush_one", _nothing)
    with recorded(tmp_path) as record:
        expected = units(tmp_path)
    assert list(not_healed(record, units, expected, 30)) == []


def test_negative_control_folders_that_are_replaced_unflushed_are_found_out(tmp_path, monkeypatch):
    monkeypatch.setattr(files_module, "flush", _nothing)
    with recorded(tmp_path) as record:
        expected = blocks(tmp_path)
    assert list(not_healed(record, blocks, expected, 30))
