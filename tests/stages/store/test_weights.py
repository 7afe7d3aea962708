import json
from contextlib import suppress

import numpy as np
import pytest
import torch
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import chunkings

from stages.errors import Damaged, Diverged, LayoutMismatch, NotComplete
from stages.store import weights as module
from stages.store.arrays import digest_group, open_group
from stages.store.chunks import ChunkPlan
from stages.store.layout import Layout
from stages.store.weights import Shards, Weights, WeightsWriter, write_weights

LAYOUT = Layout.of({"up.weight": torch.zeros(3, 2), "up.bias": torch.zeros(3), "scale": torch.tensor(0.0)})
NAMES = [f"run-{i}" for i in range(7)]
ROWS = torch.randn(7, LAYOUT.size, generator=torch.Generator().manual_seed(0))
SEEDS = {"seed": np.arange(7), "task": np.array(list("abcdefg"), dtype=object)}


@pytest.fixture
def cut(monkeypatch):
    """Have stores cut as given, whatever their size."""

    def cut(rows: int, columns: int, shard: int | None = None) -> None:
        plan = ChunkPlan((rows, columns), None if shard is None else (rows, shard))
        monkeypatch.setattr(module, "plan_chunks", lambda *shape: plan)

    return cut


@pytest.fixture
def store(tmp_path, cut):
    """Four chunk rows of at most two networks, three chunk columns."""
    cut(2, 4)
    write_weights(tmp_path / "w.zarr", LAYOUT, NAMES, ROWS, SEEDS, {"architecture": "tiny"})
    return tmp_path / "w.zarr"


def chunk(store, row, column):
    return store / "weights" / "c" / str(row) / str(column)


def written(path, compression=None):
    writer = WeightsWriter(path, LAYOUT, NAMES, {}, compression)
    for start, stop in list(writer.missing()):
        writer.write(start, ROWS[start:stop])
    return writer.finish(SEEDS)


def test_what_was_written_is_read(store):
    weights = Weights(store)
    assert len(weights) == 7
    assert weights.names == NAMES
    assert weights.layout == LAYOUT
    assert torch.equal(weights.rows(), ROWS)
    assert weights.facts("seed").tolist() == list(range(7))
    assert list(weights.facts("task")) == list("abcdefg")
    assert weights.attrs["architecture"] == "tiny"
    assert weights.has("seed")
    assert not weights.has("accuracy")


@pytest.fixture(scope="module")
def digest(tmp_path_factory) -> str:
    """Of these rows, names and facts, however they are stored."""
    return written(tmp_path_factory.mktemp("reference") / "w.zarr")


@settings(max_examples=15)
@given(data=st.data())
def test_a_store_equals_numpy_for_any_chunking(data, digest, tmp_path_factory):
    plan = data.draw(chunkings(7, LAYOUT.size))
    compression = data.draw(st.sampled_from([None, "lz4"]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "plan_chunks", lambda *shape: plan)
        path = tmp_path_factory.mktemp("store") / "w.zarr"
        assert written(path, compression) == digest
    weights = Weights(path)
    assert zarr.open_array(path / "weights").chunks == plan.chunk
    assert torch.equal(weights.rows(), ROWS)
    start = data.draw(st.integers(0, 6))
    stop = data.draw(st.integers(start + 1, 7))
    assert torch.equal(weights.rows(start, stop), ROWS[start:stop])
    index = np.array(data.draw(st.lists(st.integers(0, 6), max_size=9)), dtype=int)
    assert torch.equal(weights.pick(index), ROWS[index])
    blocks = list(weights.columns())
    assert [stop - start for start, stop, _ in blocks[:-1]] == [plan.chunk[1]] * (len(blocks) - 1)
    assert torch.equal(torch.cat([values for *_, values in blocks], 1), ROWS)
    assert weights.digest == digest


def test_one_bit_or_one_name_makes_another_digest(store, tmp_path):
    changed = ROWS.clone()
    changed[3, 5] = torch.nextafter(changed[3, 5], torch.tensor(10.0))
    assert write_weights(tmp_path / "a.zarr", LAYOUT, NAMES, changed, SEEDS, {}) != Weights(store).digest
    names = [*NAMES[:-1], "another"]
    assert write_weights(tmp_path / "b.zarr", LAYOUT, names, ROWS, SEEDS, {}) != Weights(store).digest


def test_every_network_has_its_own_sha256(store):
    import hashlib

    digests = Weights(store).facts("sha256")
    assert digests[4].tobytes() == hashlib.sha256(ROWS[4].numpy().astype("<f4").tobytes()).digest()


def test_a_killed_writer_goes_on_where_it_stopped(digest, tmp_path, cut):
    cut(2, 4)
    writer = WeightsWriter(tmp_path / "w.zarr", LAYOUT, NAMES, {})
    assert list(writer.missing()) == [(0, 2), (2, 4), (4, 6), (6, 7)]
    writer.write(2, ROWS[2:4])
    writer.write(6, ROWS[6:])
    again = WeightsWriter(tmp_path / "w.zarr", LAYOUT, NAMES, {})
    assert list(again.missing()) == [(0, 2), (4, 6)]
    for start, stop in list(again.missing()):
        again.write(start, ROWS[start:stop])
    assert again.finish(SEEDS) == digest


@pytest.mark.parametrize(("batch", "expected"), [(1, [(0, 2), (4, 6)]), (3, [(0, 2), (4, 6)]), (5, [(0, 4), (4, 7)])])
def test_what_is_missing_is_named_in_whole_chunks_of_about_a_batch(tmp_path, cut, batch, expected):
    cut(2, 4)
    writer = WeightsWriter(tmp_path / "w.zarr", LAYOUT, NAMES, {})
    writer.write(2, ROWS[2:4])
    writer.write(6, ROWS[6:])
    assert list(writer.missing(batch)) == expected
    for start, stop in expected:
        writer.write(start, ROWS[start:stop])
    assert list(writer.missing(batch)) == []


def test_a_half_written_row_of_chunks_is_missing(tmp_path, cut):
    cut(2, 4)
    writer = WeightsWriter(tmp_path / "w.zarr", LAYOUT, NAMES, {})
    writer.write(0, ROWS[0:2])
    chunk(tmp_path / "w.zarr", 0, 1).unlink()  # killed between two chunks
    assert (0, 2) in list(writer.missing())


def test_a_chunk_torn_by_a_power_cut_is_missing(tmp_path, cut):
    cut(2, 4)
    writer = WeightsWriter(tmp_path / "w.zarr", LAYOUT, NAMES, {})
    writer.write(0, ROWS[0:2])
    chunk(tmp_path / "w.zarr", 0, 1).write_bytes(b"")
    assert (0, 2) in list(writer.missing())


class Killed(Exception):
    pass


def test_a_writer_killed_at_any_moment_ends_with_the_same_digest(digest, tmp_path, monkeypatch):
    """Every file that Zarr puts in place is one such moment."""
    from zarr.storage import _local

    original, allowed = _local._put, 0

    def put(*args, **kwargs):
        nonlocal allowed
        allowed -= 1
        if allowed < 0:
            raise Killed
        return original(*args, **kwargs)

    monkeypatch.setattr(_local, "_put", put)
    kills = 0
    for at in range(1000):
        allowed = at
        try:
            assert written(tmp_path / f"{at}.zarr") == digest
            break
        except Killed:
            kills += 1
        with suppress(NotComplete):  # the last file only consolidates the metadata of a store that is complete
            assert torch.equal(Weights(tmp_path / f"{at}.zarr").rows(), ROWS)
        allowed = 10**6
        assert written(tmp_path / f"{at}.zarr") == digest, f"after a kill at file {at}"
    assert kills > 20


def test_a_store_that_is_finished_again_is_the_same(digest, tmp_path):
    """Killed after the store was complete, before the artifact was."""
    for _ in range(3):
        assert written(tmp_path / "w.zarr") == digest
        assert Weights(tmp_path / "w.zarr").names == NAMES


@pytest.mark.parametrize(("start", "stop"), [(1, 3), (0, 1), (0, 3), (4, 5), (1, 2), (5, 7)])
def test_rows_that_share_a_chunk_with_others_are_refused(tmp_path, cut, start, stop):
    cut(2, 4)
    writer = WeightsWriter(tmp_path / "w.zarr", LAYOUT, NAMES, {})
    with pytest.raises(ValueError, match=f"rows {start}:{stop} don't fill whole chunks of 2 rows"):
        writer.write(start, ROWS[start:stop])
    assert len(list(writer.missing())) == 4


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_refused_by_name(tmp_path, cut, value):
    cut(2, 4)
    writer = WeightsWriter(tmp_path / "w.zarr", LAYOUT, NAMES, {})
    rows = ROWS[2:4].clone()
    rows[1, 0] = value
    with pytest.raises(Diverged, match="run-3 has weights that aren't finite"):
        writer.write(2, rows)
    assert (2, 4) in list(writer.missing())


def test_a_missing_chunk_is_damage_to_the_network_it_held(store):
    chunk(store, 1, 2).unlink()
    weights = Weights(store)
    assert torch.equal(weights.rows(0, 2), ROWS[:2])
    with pytest.raises(Damaged, match="network run-2 has missing weights"):
        weights.rows()
    with pytest.raises(Damaged, match="network run-3"):
        weights.pick(np.array([0, 3]))


@pytest.mark.parametrize("harm", ["flip", "truncate", "empty", "zeros"])
def test_a_damaged_chunk_is_noticed_on_reading(store, harm):
    path = chunk(store, 1, 0)
    content = bytearray(path.read_bytes())
    if harm == "flip":
        content[9] ^= 4
    path.write_bytes({"flip": content, "truncate": content[:-7], "empty": b"", "zeros": bytes(len(content))}[harm])
    with pytest.raises(Damaged, match=r"w\.zarr.*weights.*`dwf verify` names the file"):
        Weights(store).rows()
    with pytest.raises(Damaged, match="weights"):
        list(Weights(store).columns())


def test_a_half_written_store_is_refused(tmp_path):
    writer = WeightsWriter(tmp_path / "w.zarr", LAYOUT, NAMES, {})
    writer.write(0, ROWS)
    with pytest.raises(NotComplete, match="half written"):
        Weights(tmp_path / "w.zarr")


def test_no_store_at_all_is_refused(tmp_path):
    with pytest.raises(NotComplete, match="no Zarr group here"):
        Weights(tmp_path / "w.zarr")


@pytest.mark.parametrize(("name", "value"), [("format_version", 2), ("format", "other")])
def test_another_format_is_refused_saying_both(store, name, value):
    path = store / "zarr.json"
    metadata = json.loads(path.read_text())
    metadata["attributes"][name] = value
    path.write_text(json.dumps(metadata))
    with pytest.raises(NotComplete, match=rf"found format .*{value}.*, expected 'dwf' version 1"):
        Weights(store)


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", '{"zarr_format": 3}', "\xff"])
def test_unreadable_metadata_is_damage(store, text):
    (store / "zarr.json").write_bytes(text.encode("latin-1"))
    with pytest.raises((Damaged, NotComplete), match=r"w\.zarr"):
        Weights(store)


def test_xarray_opens_a_store_by_name(store):
    with xr.open_zarr(store) as data:
        assert data.weights.dims == ("network", "parameter")
        row = data.weights.sel(network="run-4").values
        assert np.array_equal(row, ROWS[4].numpy())
        assert int(data.seed.sel(network="run-6")) == 6
        assert set(data.weights.coords) == {"network", "seed", "task"}
    with xr.open_zarr(store, group="layout") as layout:
        assert layout.tensor.values.tolist() == ["up.weight", "up.bias", "scale"]
        assert layout.offset.values.tolist() == [0, 6, 9]
        assert layout["shape"].values.tolist() == ["3x2", "3", ""]


def test_any_reader_sees_the_same_digest(store):
    assert digest_group(open_group(store)) == Weights(store).digest


def test_nothing_is_left_beside_the_store(store):
    assert [path.name for path in store.parent.iterdir()] == ["w.zarr"]


def test_shards_read_as_one(tmp_path, cut):
    cut(2, 4)
    bounds = [(0, 3), (3, 4), (4, 7)]
    for i, (a, b) in enumerate(bounds):
        here = {name: values[a:b] for name, values in SEEDS.items()}
        write_weights(tmp_path / f"{i}.zarr", LAYOUT, NAMES[a:b], ROWS[a:b], here, {})
    shards = Shards([tmp_path / f"{i}.zarr" for i in range(3)])
    assert len(shards) == 7
    assert shards.names == NAMES
    assert shards.facts("seed").tolist() == list(range(7))
    for start in range(7):
        for stop in range(start + 1, 8):
            assert torch.equal(shards.rows(start, stop), ROWS[start:stop])


def test_shards_of_another_layout_are_refused_by_name(tmp_path):
    write_weights(tmp_path / "0.zarr", LAYOUT, NAMES, ROWS, {}, {})
    other = Layout.of({"w": torch.zeros(10)})
    write_weights(tmp_path / "1.zarr", other, NAMES, ROWS, {}, {})
    with pytest.raises(LayoutMismatch, match=r"1\.zarr: its tensors differ from those of .*0\.zarr"):
        Shards([tmp_path / "0.zarr", tmp_path / "1.zarr"])
