"""What differs between artifacts, experiments and configurations, by one parameter changed."""

from pathlib import Path

import pytest
import yaml
from smoke import SMOKE, Done, run_smoke

from pipeline.comparison import figure_differences, report_of, side, stage_differences
from pipeline.dag import STAGES
from stages.errors import UsageError


@pytest.fixture(scope="module")
def two(finished: tuple[Path, Done], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smoke configuration's store with a second experiment, of other sampling."""
    import shutil

    root = tmp_path_factory.mktemp("two") / "store"
    shutil.copytree(finished[0], root)
    run_smoke(root, "sample.seed=5", "name=other")
    return root


def found(root: Path, a: str, b: str) -> dict[str, tuple[bool, list[str]]]:
    return {d.stage: (d.same, d.params) for d in stage_differences(side(a, root), side(b, root))}


@pytest.mark.parametrize(("a", "b"), [("smoke", "other"), ("smoke:report", "other:report"), (str(SMOKE), "other")])
def test_what_differs_is_named_where_it_was_changed(two: Path, a: str, b: str):
    differences = found(two, a, b)
    assert list(differences) == list(STAGES)
    assert [stage for stage, (same, _) in differences.items() if same] == ["zoo", "canonicalize", "pack", "fit"]
    assert differences["sample"][1] == ["seed 0 -> 5"]
    assert differences["evaluate"] == (False, [])


def test_an_artifact_is_compared_with_all_it_was_made_from(two: Path):
    differences = found(two, "smoke:sample", "other:sample")
    assert list(differences) == ["zoo", "canonicalize", "pack", "fit", "sample"]


def test_a_configuration_needs_no_artifacts(two: Path, tmp_path: Path):
    values = yaml.safe_load(SMOKE.read_text())
    values["fit"]["batch"] = 8
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(values))
    differences = found(tmp_path, str(SMOKE), str(tmp_path / "own.yaml"))
    assert differences["fit"] == (False, ["batch 16 -> 8"])
    assert differences["pack"][0]


def test_a_stage_of_one_side_alone_has_one_key(two: Path):
    (last,) = (d for d in stage_differences(side("smoke:fit", two), side("pack", two)) if d.stage == "fit")
    assert last.keys[0]
    assert last.keys[1] is None


def test_figures_of_two_reports_stand_side_by_side(two: Path):
    rows = {row.name: row.cells for row in figure_differences(side("smoke", two), side("other", two), two)}
    assert rows["members"]["Networks"] == ("12", "12")
    assert len({a == b for a, b in rows["generated"].values()}) == 2, "some differ, some don't"
    assert figure_differences(side("smoke:fit", two), side("other", two), two) == []


def test_the_report_of_an_artifact_is_that_of_its_run(two: Path):
    first, other = (side(name, two).stages for name in ("smoke", "other"))
    for stages in (first, other):
        assert report_of(stages["sample"].key, two) == two / "7_report" / stages["report"].key
    assert report_of("0123456789abcdef", two) is None


def test_what_is_nothing_is_a_usage_error(two: Path):
    with pytest.raises(UsageError, match="neither a path"):
        side("nothing", two)
