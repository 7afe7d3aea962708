"""Another generator's networks through the dag and by `dwf audit`: without a fit, and without a line of YAML."""

import json
from pathlib import Path

import pytest
import yaml
from other_generators import save_networks
from smoke import SMOKE, Done, Dwf

from pipeline.audit import pattern
from pipeline.config import load
from pipeline.runner import Runner
from stages.artifacts.members import open_zoo
from stages.errors import UsageError
from stages.evaluation.figures import read_figures
from stages.reporting.lineage import run_of
from stages.reporting.page import write_page
from stages.store.manifest import read_manifest

STAGES = ["zoo", "canonicalize", "pack", "sample", "evaluate", "report"]


@pytest.fixture(scope="module")
def theirs(finished: tuple[Path, Done], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Five members of the smoke configuration's zoo in files."""
    zoo = open_zoo(finished[1]["zoo"][0])
    return save_networks(tmp_path_factory.mktemp("theirs"), zoo, zoo.rows(0, 5))


def audited(files: str) -> str:
    return f"sample={{source: checkpoints, files: '{files}'}}"


def test_the_dag_leaves_fit_out_and_shares_what_comes_before(finished: tuple[Path, Done], theirs: str):
    planned = Runner(load(SMOKE, [audited(theirs)], finished[0])).plan()
    assert [step.stage for step in planned] == STAGES
    assert [step.ref is not None for step in planned] == [True] * 3 + [False] * 3
    before = {step.stage: step.key for step in Runner(load(SMOKE, (), finished[0])).plan()}
    assert [step.key == before[step.stage] for step in planned] == [True] * 3 + [False] * 3


def test_a_flow_needs_its_section_and_another_generator_none(tmp_path: Path, theirs: str):
    values = yaml.safe_load(SMOKE.read_text())
    del values["fit"]
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(UsageError, match=r"own.yaml: fit: required, but missing"):
        load(tmp_path / "own.yaml")
    assert load(tmp_path / "own.yaml", [audited(theirs)]).fit is None
    with pytest.raises(UsageError, match=r"sample.networks: unknown key .* files"):
        load(SMOKE, [audited(theirs), "sample.networks=3"])


def test_one_line_judges_them(dwf: Dwf, store: Path, theirs: str, tmp_path: Path):
    code, out, err = dwf("audit", "--members", SMOKE, "--generated", theirs, "--store", store)
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()[: len(STAGES)] if line.split()[1] == "reused"] == STAGES[:3]
    said = " ".join(out.split())
    assert "New: no, copies of members" in said
    assert "Of 5 networks of another generator, 5 are members, but for the order of units." in said
    assert "What their generator learned from can't be known" in said
    assert "per minute" not in said
    (evaluated,) = [p for p in (store / "6_evaluated").iterdir() if p.is_dir() and _is_audit(p)]
    assert set(read_manifest(evaluated).upstream) == {"zoo", "canonical", "packed", "sampled"}
    figures, run = read_figures(evaluated), run_of(evaluated)
    assert [stage.stage for stage in run.lineage] == STAGES[:-1]
    write_page(tmp_path / "report.html", figures, run)
    page = (tmp_path / "report.html").read_text().replace("overflow", "").replace("pages of", "")
    assert "can't be known" in page.replace("&#39;", "'")
    assert "the flow" not in page
    assert "How the flow was fitted" not in page


def _is_audit(evaluated: Path) -> bool:
    return "fitted" not in json.loads((evaluated / "manifest.json").read_text())["upstream"]


def test_fit_is_no_stage_of_it(dwf: Dwf, store: Path, theirs: str):
    code, _, err = dwf("stage", "fit", SMOKE, "--set", audited(theirs), "--store", store)
    assert code == 2
    assert "fit: no part of this experiment" in err
    assert dwf("stage", "sample", SMOKE, "--set", audited(theirs), "--store", store, "--only")[0] == 0


def test_the_configuration_that_a_line_stands_for(dwf: Dwf, theirs: str):
    folder = str(Path(theirs).parent)
    options = ["--model", "foreign_checkpoints:perceptron", "--input", "4", "--data", "iris", "--heldout", 2]
    code, out, _ = dwf("audit", "--members", folder, "--generated", theirs, *options, "--print-config")
    assert code == 0
    values = yaml.safe_load(out)
    assert values["zoo"]["files"] == f"{folder}/**/*.pt"
    assert (values["zoo"]["input"], values["zoo"]["heldout"], values["zoo"]["dataset"]) == ([4], 2, "iris")
    assert values["sample"] == {"source": "checkpoints", "files": theirs}
    assert "fit" not in values


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "--model is missing"),
        (["--model", "a:b", "--input", "4"], "--heldout is missing"),
        (["--model", "a:b", "--input", "four", "--heldout", 2], "expected numbers with commas"),
        (["--model", "a:b", "--input", "4", "--heldout", 2, "--kwargs", "[1]"], "expected an object"),
    ],
)
def test_what_is_missing_or_unreadable_is_one_line(dwf: Dwf, theirs: str, options: list[object], says: str):
    code, _, err = dwf("audit", "--members", Path(theirs).parent, "--generated", theirs, *options)
    assert code == 2
    assert says in err
    assert len(err.strip().splitlines()) == 1


def test_a_configuration_describes_its_members_alone(dwf: Dwf, theirs: str):
    code, _, err = dwf("audit", "--members", SMOKE, "--generated", theirs, "--heldout", 3)
    assert (code, "describes the members already" in err) == (2, True)


@pytest.mark.parametrize(("names", "says"), [(["a.pt", "b.npz"], r"both \.npz and \.pt"), (["a.txt"], "none of")])
def test_a_folder_without_checkpoints_of_one_kind_is_asked_about(tmp_path: Path, names: list[str], says: str):
    for name in names:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UsageError, match=says):
        pattern(str(tmp_path))
