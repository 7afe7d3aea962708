"""A metric and a baseline, each added by one file: both are in the figures and in everything that shows them."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from smoke import PROJECT, Done

pytestmark = pytest.mark.slow

METRIC = '''"""A made-up metric."""

from torch import Tensor

from stages.columns import FINE_RATIO, Column
from stages.evaluation.metric import per_network
from stages.evaluation.network_set import NetworkSet


@per_network(column=Column(97, FINE_RATIO, brief=True), points="largest_weight")
def largest_weight(networks: NetworkSet) -> Tensor:
    """Largest weight: of each network in absolute value, mean."""
    return networks.rows.abs().amax(1)
'''
BASELINE = '''"""Members with all their weights made larger."""

from collections.abc import Iterator

from stages.evaluation.baseline import Level, baseline
from stages.evaluation.inputs import EvaluationInputs


@baseline(order=70)
def enlarged(inputs: EvaluationInputs) -> Iterator[Level]:
    """Twenty times as large, which is farther from the members than any other baseline is."""
    yield Level("x20", lambda count, draw: 20 * inputs.members[:count])
'''
RUN = """
import json, sys
from pathlib import Path
from stages.context import Context
from stages.evaluate import evaluate
from stages.evaluation.figures import read_figures
from stages.evaluation.metrics import figures_schema
from stages.params.base import Params
from stages.params.evaluate import EvaluateParams
from stages.report import report
from stages.reporting.sweep_results import MEASURES, measured
from stages.store.refs import Ref

out, params, *paths = sys.argv[1:]
refs = [Ref(stage="", key="0", path=Path(path), digest="") for path in paths]
folders = [Path(out) / name for name in ("evaluated", "reported")]
for folder in folders:
    folder.mkdir()
evaluate(*refs, EvaluateParams.model_validate_json(params), Context(folders[0], threads=1))
report(Ref(stage="evaluate", key="0", path=folders[0], digest=""), Params(), Context(folders[1], threads=1))
figures = read_figures(folders[0])
printed = {
    "schema": figures_schema()["$defs"]["SetFigures"]["properties"]["largest_weight"],
    "measures": [measure.name for measure in MEASURES],
    "measured": measured(figures, None),
}
print(json.dumps(printed))
"""
PARAMS = {
    "baseline_networks": 4,
    "noise_levels": [0.1],
    "interpolation_fractions": [0.5],
    "soup_sizes": [2],
    "probe_members": 0,
    "align_to_nearest": 0,
    "max_members": 4,
}


@pytest.fixture(scope="module")
def added(finished: tuple[Path, Done], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """What a copy of the program with the two files made of the finished store, and what it said of itself."""
    root = tmp_path_factory.mktemp("extended")
    shutil.copytree(PROJECT / "stages", root / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "stages/evaluation/metrics/made_up.py").write_text(METRIC)
    (root / "stages/evaluation/baselines/made_up.py").write_text(BASELINE)
    stages = ("zoo", "canonicalize", "pack", "fit", "sample")
    paths = [str(finished[1][stage][0].path) for stage in stages]
    command = [sys.executable, "-c", RUN, str(root), json.dumps(PARAMS), *paths]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return root, json.loads(done.stdout)


def test_a_metric_is_in_the_figures_of_every_set_and_in_their_schema(added: tuple[Path, dict]):
    root, printed = added
    sets = json.loads((root / "evaluated/figures.json").read_text())["sets"]
    assert all(entry["largest_weight"]["min"] > 0 for entry in sets.values())
    assert len(sets["generated"]["points"]["largest_weight"]) == sets["generated"]["networks"]
    assert (root / "evaluated/figures.zarr/generated/largest_weight").exists()
    assert printed["schema"]["description"] == "Largest weight: of each network in absolute value, mean."


def test_a_metric_is_in_the_table_of_page_and_terminal_and_in_figures_csv(added: tuple[Path, dict]):
    reported = added[0] / "reported"
    page = (reported / "report.html").read_text()
    assert ">Largest weight<" in page
    assert "of each network in absolute value, mean" in page
    summary = json.loads((reported / "summary.json").read_text())
    place = summary["columns"].index("Largest weight")
    mean = json.loads((added[0] / "evaluated/figures.json").read_text())["sets"]["generated"]["largest_weight"]["mean"]
    assert next(row for row in summary["rows"] if row["name"] == "generated")["cells"][place] == f"{mean:.3f}"
    with (reported / "figures.csv").open() as file:
        lines = {line["set"]: line for line in csv.DictReader(file)}
    assert float(lines["generated"]["largest_weight"]) == mean


def test_a_metric_is_compared_by_sweeps(added: tuple[Path, dict]):
    _, printed = added
    assert "largest_weight" in printed["measures"]
    assert printed["measured"]["largest_weight"] > 0


def test_a_baseline_is_a_set_in_the_tables_and_on_the_frontier(added: tuple[Path, dict]):
    figures = json.loads((added[0] / "evaluated/figures.json").read_text())
    entry = figures["sets"]["enlarged x20"]
    assert (entry["role"], entry["family"], entry["networks"]) == ("baseline", "enlarged", 4)
    assert list(figures["sets"])[-1] == "enlarged x20", "in the order of the report"
    assert figures["frontier"]["name"][-1] == "enlarged x20"
    assert "enlarged x20" in (added[0] / "reported/report.html").read_text()
    summary = json.loads((added[0] / "reported/summary.json").read_text())
    assert "enlarged x20" in [row["name"] for row in summary["rows"]]
