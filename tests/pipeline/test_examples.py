"""Every example of own data goes through the whole dag, from a folder of its own."""

import importlib.util
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import dwf
from pipeline.config import Experiment, load
from pipeline.configurations import BUILT_IN
from pipeline.runner import Runner, run_directly
from stages.evaluation.figures import Figures, read_figures
from stages.store.refs import Ref

EXAMPLES = sorted(file.stem for file in (BUILT_IN / "examples").glob("*.yaml"))
SMALL = (
    *("zoo.members=5", "zoo.heldout=3", "fit.steps=3", "fit.batch=4", "fit.velocity.width=16", "fit.velocity.depth=1"),
    *("sample.networks=3", "sample.steps=1", "sample.method=euler", "evaluate.baseline_networks=2"),
    *("evaluate.noise_levels=[0.2]", "evaluate.interpolation_fractions=[0.5]", "evaluate.soup_sizes=[2]"),
    *("evaluate.ensemble_sizes=[2]", "evaluate.round_trip_components=[1]", "evaluate.align_to_nearest=1"),
    *("canonicalize.barrier_members=0", "evaluate.probe_members=1"),
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The examples with their data, as somebody would copy them."""
    import datasets

    datasets.disable_progress_bars()
    shutil.copytree(BUILT_IN / "examples", folder := tmp_path_factory.mktemp("examples") / "project")
    spec = importlib.util.spec_from_file_location("make_data", folder / "make_data.py")
    assert spec
    assert spec.loader
    spec.loader.exec_module(module := importlib.util.module_from_spec(spec))
    module.make(folder / "example_data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path])
        yield folder


def example(project: Path, name: str, *overrides: str) -> Experiment:
    epochs = [] if name == "factory" else ["zoo.recipe.epochs=1"]
    return load(project / f"{name}.yaml", [*SMALL, *epochs, *overrides], project.parent / "store", project)


def run(experiment: Experiment) -> tuple[Figures, list[str]]:
    """What was measured, and the stages that were made anew."""
    refs: dict[str, Ref] = {}
    made: list[str] = []

    def done(stage: str, ref: Ref, reused: bool) -> None:
        refs[stage] = ref
        made.extend([] if reused else [stage])

    run_directly(Runner(experiment), done)
    return read_figures(refs["evaluate"].path), made


QUICK = {"csv", "factory"}
"""Run with every change; the others differ in their readers, which have tests of their own."""


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in EXAMPLES]
)
def test_an_example_runs_through_the_dag(project: Path, name: str):
    figures, made = run(experiment := example(project, name))
    assert len(made) == 7
    assert figures.dataset
    assert figures.dataset.name == experiment.zoo.dataset.name
    assert figures.score == ("spearman" if name == "regression" else "accuracy")
    assert figures.inputs
    assert "(x" in figures.inputs
    assert str(project) not in figures.model_dump_json()
    assert str(project) not in json.dumps(dwf.open(experiment.store_root).generated.config)  # what `push` writes
    assert figures.warnings == ()
    assert all(step.ref for step in Runner(experiment).plan())


def test_a_project_that_moved_goes_on_from_its_zoo(project: Path):
    before = example(project, "csv")
    run(before)
    shutil.copytree(project, moved := project.parent / "moved")
    shutil.move(project / "example_data/wine.csv", project / "example_data/gone.csv")
    try:
        figures, made = run(example(moved, "csv", "evaluate.seed=1"))
    finally:
        shutil.move(project / "example_data/gone.csv", project / "example_data/wine.csv")
    assert made == ["evaluate", "report"]
    assert figures.test_examples == 36


def test_an_edit_of_the_data_makes_everything_anew(project: Path):
    run(example(project, "csv"))
    with (project / "example_data/wine.csv").open("a") as file:
        first = (project / "example_data/wine.csv").read_text().splitlines()[1]
        file.write(first + "\n")
    plan = Runner(example(project, "csv")).plan()
    assert not any(step.ref for step in plan)
    assert "dataset" in plan[0].why
