"""Reading finished artifacts: whatever is read has been compared with the manifest, whichever way it is read."""

import shutil
from contextlib import suppress

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import manifest_facts

from stages.errors import Damaged, NotComplete
from stages.store import chunks as chunk_rules
from stages.store import sealed as module
from stages.store.arrays import open_group, read
from stages.store.artifact import artifact_path, publish, work_path
from stages.store.checkpoints import load_tensors, save_tensors
from stages.store.files import write_json
from stages.store.layout import Layout
from stages.store.manifest import MANIFEST, facts_of, read_manifest
from stages.store.sealed import read_json, read_sealed, sealed
from stages.store.weights import Weights, write_weights

NETWORKS, SIZE = 6, 10


def build(root, key="5ea1"):
    """A published artifact with rows in several chunks, tensors, and JSON."""
    work = work_path(root, "pack", key)
    work.mkdir(parents=True)
    layout = Layout.of({"w": torch.zeros(SIZE)})
    rows = torch.arange(NETWORKS * SIZE, dtype=torch.float32).reshape(NETWORKS, SIZE)
    names = [f"n{i}" for i in range(NETWORKS)]
    write_weights(work / "weights.zarr", layout, names, rows, {"seed": np.arange(NETWORKS)}, {})
    save_tensors(work / "velocity.safetensors", {"a": torch.ones(3)}, {"dim": 3})
    write_json(work / "figures.json", {"tau": 1.5})
    publish(work, artifact_path(root, "pack", key), manifest_facts("pack", key))
    return artifact_path(root, "pack", key)


@pytest.fixture
def artifact(tmp_path, monkeypatch):
    monkeypatch.setattr("stages.store.weights.plan_chunks", lambda *shape: chunk_rules.ChunkPlan((2, 5), None))
    return build(tmp_path)


def read_all(folder):
    """Everything in the artifact, by the readers that the stages use."""
    store = Weights(folder / "weights.zarr")
    columns = [block for _, _, block in store.columns()]
    tensors, facts = load_tensors(folder / "velocity.safetensors")
    return (
        store.rows(),
        torch.cat(columns, 1),
        store.names,
        store.facts("seed"),
        tensors,
        facts,
        read_json(folder / "figures.json"),
    )


def test_a_sound_artifact_is_read_as_it_was_written(artifact):
    rows, columns, names, seeds, tensors, facts, figures = read_all(artifact)
    assert torch.equal(rows, torch.arange(60.0).reshape(6, 10))
    assert torch.equal(columns, rows)
    assert names[5] == "n5"
    assert seeds.tolist() == list(range(6))
    assert (facts, figures) == ({"dim": 3}, {"tau": 1.5})
    assert tensors["a"].tolist() == [1, 1, 1]


@given(data=st.data())
def test_a_flipped_bit_in_any_file_that_is_read_is_refused(data, shared):
    """Files that no reader opens, such as tables for people, can be damaged without harm."""
    name = data.draw(st.sampled_from(sorted(read_manifest(shared).files)), "file")
    file = shared / name
    whole = file.read_bytes()
    position = data.draw(st.integers(0, len(whole) - 1), "byte")
    torn = bytearray(whole)
    torn[position] ^= 1 << data.draw(st.integers(0, 7), "bit")
    expected = [repr(part) for part in read_all(shared)]
    file.write_bytes(torn)
    try:
        with pytest.raises(Damaged, match=f"{file.name}: changed since it was written; `dwf repair 5ea1` makes it"):
            read_sealed(file)
        with suppress(Damaged):
            assert [repr(part) for part in read_all(shared)] == expected
    finally:
        file.write_bytes(whole)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return build(tmp_path_factory.mktemp("shared"))


def swap(one, other):
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)


@pytest.mark.parametrize("large", [0, 2**20])
def test_two_swapped_chunks_with_valid_checksums_are_refused(artifact, large, monkeypatch):
    monkeypatch.setattr(module, "LARGE", large)  # by CRC-32, or by sha256
    chunks = artifact / "weights.zarr" / "weights" / "c"
    swap(chunks / "0" / "1", chunks / "2" / "1")
    store = Weights(artifact / "weights.zarr")
    assert store.rows(2, 4).shape == (2, 10)
    with pytest.raises(Damaged, match="changed since it was written"):
        store.rows(0, 2)
    with pytest.raises(Damaged, match="changed since it was written"):
        list(store.columns())


def test_without_the_manifest_the_swap_goes_unseen(artifact):
    """What the comparison is for: each chunk's own checksum fits."""
    chunks = artifact / "weights.zarr" / "weights" / "c"
    swap(chunks / "0" / "1", chunks / "2" / "1")
    (artifact / MANIFEST).unlink()
    assert Weights(artifact / "weights.zarr").rows().shape == (NETWORKS, SIZE)


@pytest.mark.parametrize("name", ["weights.zarr/weights/c/1/0", "weights.zarr/seed/c/0", "weights.zarr/network/c/0"])
def test_a_missing_chunk_is_never_a_fill_value(artifact, name):
    (artifact / name).unlink()
    with pytest.raises(Damaged, match=f"{name}: missing"):
        read_all(artifact)


@pytest.mark.parametrize("name", ["velocity.safetensors", "figures.json"])
def test_a_missing_file_is_named(artifact, name):
    (artifact / name).unlink()
    with pytest.raises(Damaged, match=f"{name}: missing"):
        read_all(artifact)


def test_a_file_that_the_manifest_does_not_name_is_not_there(artifact):
    """Somebody else's array among ours is no array of the artifact's."""
    shutil.copytree(artifact / "weights.zarr" / "seed", artifact / "weights.zarr" / "split")
    store = Weights(artifact / "weights.zarr")
    assert not store.has("split")
    (artifact / "notes.json").write_text("{}")
    with pytest.raises(Damaged, match="isn't in the manifest"):
        read_json(artifact / "notes.json")


def test_shards_are_compared_although_only_parts_of_them_are_read(tmp_path, monkeypatch):
    plan = chunk_rules.ChunkPlan((1, 5), (1, 10))
    monkeypatch.setattr("stages.store.weights.plan_chunks", lambda *shape: plan)
    artifact = build(tmp_path)
    shards = artifact / "weights.zarr" / "weights" / "c"
    assert Weights(artifact / "weights.zarr").array.shards == (1, 10)
    assert torch.equal(read_all(artifact)[0], torch.arange(60.0).reshape(6, 10))
    swap(shards / "0" / "0", shards / "4" / "0")
    store = Weights(artifact / "weights.zarr")
    assert [start for start, _, _ in partial_columns(store, 2)] == [2, 3]
    with pytest.raises(Damaged, match="0/0: changed"):
        list(partial_columns(store, 0))


def partial_columns(store, start):
    """Parts of the rows `start` and `start + 1`."""
    return ((i, i + 1, store.array[i : i + 1, :5]) for i in (start, start + 1))


def test_a_damaged_manifest_stops_every_reader(artifact):
    file = artifact / MANIFEST
    file.write_bytes(file.read_bytes().replace(b'"size"', b'"sise"', 1))
    for call in (lambda: Weights(artifact / "weights.zarr"), lambda: read_json(artifact / "figures.json")):
        with pytest.raises(NotComplete, match="changed since it was written; `dwf repair 5ea1`"):
            call()


def test_other_programs_manifests_mean_nothing(tmp_path):
    (tmp_path / MANIFEST).write_text('{"version": 3}')
    write_json(tmp_path / "facts.json", [1])
    assert sealed(tmp_path / "facts.json") is None
    assert read_json(tmp_path / "facts.json") == [1]


def test_a_manifest_that_was_replaced_is_read_anew(artifact):
    assert read_json(artifact / "figures.json") == {"tau": 1.5}
    work = work_path(artifact.parent.parent, "pack", "5ea1")
    shutil.copytree(artifact, work)
    (work / MANIFEST).unlink()
    write_json(work / "figures.json", {"tau": 2.5})
    publish(work, artifact, manifest_facts("pack", "5ea1"))
    assert read_json(artifact / "figures.json") == {"tau": 2.5}


def test_names_have_a_checksum_of_their_own(artifact):
    """So that verify and other readers notice, too."""
    group = open_group(artifact / "weights.zarr", compared=False)
    file = artifact / "weights.zarr" / "network" / "c" / "0"
    content = bytearray(file.read_bytes())
    content[-6] ^= 1
    file.write_bytes(content)
    with pytest.raises(Damaged, match="network"):
        read(group, "network")


def test_large_files_of_earlier_releases_are_compared_by_sha256(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "stages.store.artifact.facts_of", lambda file: facts_of(file).model_copy(update={"crc32": None})
    )
    monkeypatch.setattr(module, "LARGE", 0)
    artifact = build(tmp_path)
    assert torch.equal(read_all(artifact)[0], torch.arange(60.0).reshape(6, 10))
    swap(artifact / "weights.zarr" / "weights" / "c" / "0" / "0", artifact / "weights.zarr" / "seed" / "c" / "0")
    with pytest.raises(Damaged, match="expected"):
        read_all(artifact)
