import json
from pathlib import Path

import numpy as np
import pytest
import torch
from strategies import assert_close, random_rows, write_zoo

from stages import pack as module
from stages.artifacts import pca
from stages.artifacts.members import WEIGHTS
from stages.canonical.alignment import ALIGNMENT, read_alignment, read_symmetry
from stages.canonicalize import canonicalize
from stages.context import Context
from stages.errors import UsageError
from stages.flow.spaces.codes import effective_rank, principal_codes, spectrum
from stages.flow.spaces.pca import PcaSpace, components
from stages.pack import pack
from stages.params.canonicalize import CanonicalizeParams
from stages.params.network import MLP
from stages.params.pack import PackParams
from stages.store import weights
from stages.store.chunks import ChunkPlan
from stages.store.refs import Ref
from stages.store.weights import Weights, is_train

NETWORK = MLP(widths=(4, 6, 3))
LAYOUT, ROWS = random_rows(NETWORK, 9)
TRAIN = 7  # the last two are held out


def context(out: Path, progress=lambda *_: None) -> Context:
    return Context(out=out, data_root=Path("/nonexistent"), threads=1, progress=progress)


@pytest.fixture(scope="module")
def upstream(tmp_path_factory) -> tuple[Ref, Ref]:
    return align(tmp_path_factory.mktemp("upstream"), ROWS)


def align(folder: Path, rows: torch.Tensor) -> tuple[Ref, Ref]:
    zoo = write_zoo(folder / "zoo", NETWORK, rows, shard=4)
    canonicalize(zoo, CanonicalizeParams(), context(folder / "canonical"))
    return zoo, Ref(stage="canonicalize", key="c", path=folder / "canonical", digest="")


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Five rows of chunks, three columns."""
    monkeypatch.setattr(weights, "plan_chunks", lambda *shape: ChunkPlan((2, 20), None))


def packed(folder: Path, upstream: tuple[Ref, Ref], progress=lambda *_: None, **params) -> Weights:
    pack(*upstream, PackParams(**params), context(folder, progress))
    return Weights(folder / WEIGHTS)


def aligned(upstream: tuple[Ref, Ref], rows: torch.Tensor = ROWS) -> torch.Tensor:
    return read_alignment(upstream[1].path / ALIGNMENT).canonical(
        read_symmetry(upstream[1].path / ALIGNMENT), LAYOUT, rows, 0
    )


@pytest.fixture(scope="module")
def store(upstream, tmp_path_factory) -> Weights:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "plan_chunks", lambda *shape: ChunkPlan((2, 20), None))
        return packed(tmp_path_factory.mktemp("packed"), upstream)


def test_rows_are_the_aligned_members_in_order(store, upstream):
    assert torch.equal(store.rows(), aligned(upstream))
    assert not torch.equal(store.rows(), ROWS)
    assert store.names == [f"member-0000{i}" for i in range(9)]


def test_facts_of_the_members_come_along(store):
    assert list(store.facts("split")) == ["train"] * 7 + ["held-out"] * 2
    assert is_train(store).tolist() == [True] * 7 + [False] * 2
    assert store.facts("seed").tolist() == list(range(9))
    assert np.array_equal(store.facts("validation_score"), np.linspace(0.5, 1, 9, dtype=np.float32))


def test_mean_gram_and_variances_equal_numpy_on_training_members(store, upstream):
    exact = aligned(upstream).double().numpy()
    mean = exact[:TRAIN].mean(0)
    centred = exact - mean
    assert np.allclose(store.facts("pca/mean"), mean, atol=1e-6)
    assert np.allclose(store.facts("pca/gram"), centred @ centred.T, atol=1e-4)
    variances = np.linalg.svd(centred[:TRAIN], compute_uv=False) ** 2 / TRAIN
    assert store.facts("pca/variance").shape == (TRAIN - 1,)
    assert np.allclose(store.facts("pca/variance"), variances[:-1], atol=1e-5)


def test_heldout_members_shape_neither_mean_nor_spectrum_nor_statistics(store, tmp_path):
    rows = ROWS.clone()
    rows[TRAIN:] *= 100
    other = packed(tmp_path / "packed", align(tmp_path, rows))
    for name in ("pca/mean", "pca/variance", "layout/mean", "layout/std"):
        assert np.array_equal(store.facts(name), other.facts(name)), name
    mine, theirs = store.facts("pca/gram"), other.facts("pca/gram")
    assert np.array_equal(mine[:TRAIN, :TRAIN], theirs[:TRAIN, :TRAIN])
    assert not np.allclose(mine[TRAIN:], theirs[TRAIN:])


def test_of_more_networks_than_parameters_directions_are_stored(tmp_path):
    """And nothing as large as networks squared; the codes are those of the Gram matrix."""
    rows = random_rows(NETWORK, 60)[1]
    store = packed(tmp_path / "packed", align(tmp_path, rows))
    fits = is_train(store)
    assert not store.has("pca/gram")
    assert store.facts("pca/directions").shape == (LAYOUT.size, LAYOUT.size)
    centred = store.rows().double() - torch.from_numpy(store.facts("pca/mean")).double()
    gram = centred @ centred[fits].T
    found, expected = components(store, 5, whiten=True), principal_codes(gram[fits], 5, whiten=True)
    mine, theirs = PcaSpace(found).encode(store, np.arange(60)), expected.encode(gram)
    assert_close(mine * (mine * theirs).sum(0).sign(), theirs, 1e-4)
    assert_close(torch.from_numpy(store.facts("pca/variance")), spectrum(gram[fits])[: LAYOUT.size], 1e-5)
    assert not np.allclose(store.facts("pca/variance"), centred.T.cov(correction=0).diagonal().sort().values.flip(0))


def test_of_fewer_networks_than_parameters_the_gram_matrix_is_stored(store):
    assert not store.has("pca/directions")
    gram, fits = torch.from_numpy(store.facts("pca/gram")), is_train(store)
    expected = principal_codes(gram[fits][:, fits], None, whiten=False)
    assert torch.equal(
        PcaSpace(components(store, None, whiten=False)).encode(store, np.arange(9)), expected.encode(gram[:, fits])
    )


def test_statistics_of_each_tensor_equal_numpy(store, upstream):
    for slot, mean, std in zip(LAYOUT.slots, store.facts("layout/mean"), store.facts("layout/std"), strict=True):
        values = aligned(upstream)[:TRAIN, slot.offset : slot.offset + slot.size].double()
        assert mean == pytest.approx(float(values.mean()), abs=1e-9)
        assert std == pytest.approx(float(values.std(correction=0)), rel=1e-9)


def test_the_summary_says_what_was_stored(upstream: tuple[Ref, Ref], tmp_path: Path):
    summary = pack(*upstream, PackParams(), context(tmp_path))
    store = Weights(tmp_path / WEIGHTS)
    variance = torch.from_numpy(store.facts("pca/variance"))
    assert (summary["networks"], summary["parameters"]) == (9, LAYOUT.size)
    assert summary["effective_rank"] == pytest.approx(effective_rank(variance))
    assert summary["flatness"] == pytest.approx(float(variance[0] / variance.median()))


@pytest.mark.parametrize("plan", [ChunkPlan((9, 51), None), ChunkPlan((1, 7), (1, 21)), ChunkPlan((4, 51), None)])
def test_chunks_do_not_change_what_is_packed(store, upstream, tmp_path, monkeypatch, plan):
    monkeypatch.setattr(weights, "plan_chunks", lambda *shape: plan)
    other = packed(tmp_path, upstream)
    assert torch.equal(other.rows(), store.rows())
    assert_close(torch.from_numpy(other.facts("pca/gram")), torch.from_numpy(store.facts("pca/gram")), 1e-6)


def test_compression_does_not_change_the_digest(store, upstream, tmp_path):
    other = packed(tmp_path, upstream, compression="lz4")
    assert other.digest == store.digest
    metadata = [json.loads((s.path / "weights/zarr.json").read_text()) for s in (store, other)]
    assert ["blosc" in [codec["name"] for codec in m["codecs"]] for m in metadata] == [False, True]


class Killed(Exception):
    pass


@pytest.mark.parametrize("after", [1, 3, 5])
def test_a_run_killed_between_rows_goes_on_and_ends_the_same(store, upstream, tmp_path, monkeypatch, after):
    shares = []

    def dies(share, note):
        shares.append(share)
        if len(shares) == after:
            raise Killed

    with pytest.raises(Killed):
        packed(tmp_path, upstream, dies)
    written = []
    write = weights.WeightsWriter.write
    monkeypatch.setattr(
        module.WeightsWriter, "write", lambda self, start, rows: [written.append(start), write(self, start, rows)]
    )
    again = packed(tmp_path, upstream)
    assert written == [0, 2, 4, 6, 8][after:]
    assert again.digest == store.digest
    assert torch.equal(again.rows(), store.rows())


@pytest.mark.parametrize(
    ("home", "where"), [(pca, "mean_and_gram"), (module, "statistics"), (module, "effective_rank")]
)
def test_a_run_killed_after_the_rows_ends_the_same(store, upstream, tmp_path, monkeypatch, home, where):
    """The last of these is after the store was completed, and before the artifact was."""

    def die(*args):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(home, where, die)
        with pytest.raises(Killed):
            packed(tmp_path, upstream)
    assert packed(tmp_path, upstream).digest == store.digest


def test_progress_only_grows(upstream, tmp_path):
    shares = []
    packed(tmp_path, upstream, lambda share, note: shares.append(share))
    assert shares == sorted(shares)
    assert shares[0] > 0
    assert shares[-1] <= 1


def relabelled(row: torch.Tensor, seed: int) -> torch.Tensor:
    """The same network with its hidden units in another order."""
    order = torch.randperm(6, generator=torch.Generator().manual_seed(seed))
    tensors = LAYOUT.unflatten(row)
    moved = {"1.weight": tensors["1.weight"][order], "1.bias": tensors["1.bias"][order]}
    return LAYOUT.flatten({**tensors, **moved, "3.weight": tensors["3.weight"][:, order]})


@pytest.mark.parametrize(("copies", "refused"), [(2, False), (3, False), (4, True), (7, True)])
def test_members_half_of_which_are_relabelled_copies_are_refused(tmp_path: Path, copies: int, refused: bool):
    same = torch.stack([relabelled(ROWS[0], seed) for seed in range(copies)])
    upstream = align(tmp_path, torch.cat([same, ROWS[copies:]]))
    if not refused:
        assert len(packed(tmp_path / "packed", upstream)) == len(ROWS)
        return
    with pytest.raises(UsageError, match=f"pack: {copies} of 7 members are copies of one another once"):
        packed(tmp_path / "packed", upstream)


def test_members_without_variance_in_single_precision_are_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="needs members that differ"):
        packed(tmp_path / "packed", align(tmp_path, ROWS * 1e-30))
