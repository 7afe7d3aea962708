"""Golden artifacts of an earlier release are read by today's code, whole, and a fit repeats its golden loss curve."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from stages.artifacts.export import export_networks
from stages.artifacts.fitted import CURVES, read_fitted
from stages.artifacts.members import open_weights, open_zoo
from stages.canonical.alignment import ALIGNMENT, read_alignment, read_reference, read_symmetry
from stages.context import Context
from stages.evaluation.figures import read_figures
from stages.evaluation.metrics.performance import score
from stages.fit import fit
from stages.params.fit import FitParams
from stages.reporting.plots import PLOTS
from stages.reporting.summary import read_summary
from stages.store.artifact import FOLDERS
from stages.store.manifest import read_manifest
from stages.store.refs import Ref
from stages.store.verify import verify

ARCHIVES = sorted((Path(__file__).parent / "golden").glob("release-*.tar.xz"))
LEFT_OUT = ("events/", "report.html: missing", *(f"{plot.name}.png: missing" for plot in PLOTS))
"""What archives don't hold: clock times, and what can be drawn again."""
Store = dict[str, Ref]
"""Stage -> its artifact; of the flow over tokens `fit tokens` and `sample tokens`."""


@pytest.fixture(scope="module", params=ARCHIVES, ids=lambda path: path.name)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Store:
    root = tmp_path_factory.mktemp("golden")
    with tarfile.open(request.param) as archive:
        archive.extractall(root, filter="data")
    refs = {}
    for stage, folder in FOLDERS.items():
        for path in (root / folder).glob("*"):
            manifest = read_manifest(path)
            name = f"{stage} tokens" if manifest.experiment == "golden_tokens" else stage
            refs[name] = Ref(stage=stage, key=manifest.key, path=path, digest=manifest.digest)
    return refs


def test_there_is_one_and_it_is_small():
    assert ARCHIVES
    assert sum(path.stat().st_size for path in ARCHIVES) < 100_000


def test_artifacts_of_every_stage_are_there_and_sound(store: Store):
    assert set(store) == set(FOLDERS) - {"sweep"} | {"fit tokens", "sample tokens"}
    for ref in store.values():
        assert [line for line in verify(ref.path)[1] if not line.startswith(LEFT_OUT)] == []


def test_members_are_brought_back_bit_for_bit_from_their_canonical_form(store: Store):
    zoo, packed = open_zoo(store["zoo"]), open_weights(store["pack"])
    path = store["canonicalize"].path / ALIGNMENT
    alignment, symmetry = read_alignment(path), read_symmetry(path)
    assert zoo.names == packed.names == [f"member-{i:05d}" for i in range(6)]
    assert torch.equal(read_reference(path), zoo.rows(0, 1)[0])
    for i, (trained, canonical) in enumerate(zip(zoo.rows(0, 6), packed.rows(), strict=True)):
        undone = alignment.undo(symmetry, i, packed.layout.unflatten(canonical))
        assert torch.equal(zoo.layout.flatten(undone), trained)


@pytest.mark.parametrize("kind", ["", " tokens"])
def test_the_flow_and_its_networks_are_read(store: Store, tmp_path: Path, kind: str):
    flow, sampled = read_fitted(store[f"fit{kind}"].path), open_weights(store[f"sample{kind}"])
    velocity = flow.velocity(torch.zeros(2, flow.dim), torch.tensor([0.1, 0.9]))
    assert bool(torch.isfinite(velocity).all())
    assert export_networks(store[f"sample{kind}"].path, tmp_path) == len(sampled) == 3


def test_figures_and_the_report_s_summary_are_read(store: Store):
    figures, summary = read_figures(store["evaluate"].path), read_summary(store["report"].path)
    scores = score.of(figures.sets["generated"])
    assert scores
    row = next(row for row in summary.rows if row.name == "generated")
    assert f"{100 * scores.mean:.2f}" in row.cells[1]
    assert summary.verdict


def test_a_fit_repeats_the_golden_loss_curve(store: Store, tmp_path: Path):
    """The same numbers to the bit on one machine; elsewhere the last digits differ, and grow in 60 steps."""
    params = FitParams.model_validate(read_manifest(store["fit"].path).params)
    fit(store["pack"], params, Context(tmp_path, threads=1))
    golden, today = (np.loadtxt(path / CURVES, delimiter=",", skiprows=1) for path in (store["fit"].path, tmp_path))
    assert golden.shape == (6, 4)
    np.testing.assert_allclose(today, golden, rtol=1e-3)
