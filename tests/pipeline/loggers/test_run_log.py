"""What a run tells a tracker, by a tracker that remembers, and what becomes of a run whose tracker fails."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from smoke import SMOKE, Done, Dwf

from pipeline.config import Experiment, load
from pipeline.loggers import run_log, tracker
from pipeline.loggers.run_log import logged
from pipeline.runner import Runner, run_directly
from stages.errors import DwfError, UsageError
from stages.evaluation.figures import read_figures


class Remembers:
    """A tracker."""

    def __init__(self) -> None:
        self.said: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return lambda value: self.said.update({name: value})


class Listener:
    """Counts what it is shown."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def watch(self, stage: str, share: float, note: str) -> None:
        self.seen.append("watch")

    def done(self, stage: str, ref: object, reused: bool) -> None:
        self.seen.append(stage)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Remembers, list[tuple[str, ...]]]]:
    remembers, calls = Remembers(), []
    monkeypatch.setattr(run_log, "tracker_of", lambda *arguments: calls.append(arguments) or remembers)
    return remembers, calls  # type: ignore[return-value]


def experiment(finished: tuple[Path, Done], *overrides: str) -> Experiment:
    return load(SMOKE, ["logger=mlflow", *overrides], finished[0])


def test_a_finished_run_is_told_whole(finished: tuple[Path, Done], opened: Any):
    remembers, calls = opened
    listener, run = Listener(), experiment(finished)
    with logged(run, listener) as log:
        run_directly(Runner(run, log.watch), log.done)
    refs = {stage: ref for stage, (ref, _) in finished[1].items()}
    assert calls == [("mlflow", "smoke", refs["report"].key)]
    assert listener.seen == list(refs), "the listener is shown what it was before"
    assert remembers.said["parameters"]["fit.steps"] == 60
    assert remembers.said["parameters"]["zoo.network.widths"] == "[4, 8, 3]"
    assert not {"threads", "store_root", "logger"} & remembers.said["parameters"].keys()
    assert list(remembers.said["curves"]) == [20, 40, 60]
    assert {"fit/loss", "fit/heldout_loss"} <= remembers.said["curves"][20].keys()
    figures = read_figures(refs["evaluate"].path)
    assert remembers.said["figures"]["generated/distance_in_tau"] == figures.sets["generated"].distance_in_tau
    assert remembers.said["figures"]["verdict/accurate"] == float(figures.verdict.accurate or 0)
    assert "report.html" in {path.name for path in remembers.said["files"]}
    assert all(path.is_file() for path in remembers.said["files"])
    assert remembers.said["finish"] is True


def test_a_failed_run_is_told_to_have_failed(finished: tuple[Path, Done], opened: Any):
    with pytest.raises(KeyboardInterrupt), logged(experiment(finished), Listener()):
        raise KeyboardInterrupt
    assert opened[0].said["finish"] is False


@pytest.mark.parametrize(("overrides", "wanted"), [(["logger=none"], True), ([], False)])
def test_without_a_tracker_the_listener_is_the_same(
    finished: tuple[Path, Done], opened: Any, overrides: list[str], wanted: bool
):
    listener = Listener()
    with logged(experiment(finished, *overrides), listener, wanted) as log:
        assert log is listener
    assert opened[1] == []


def test_a_tracker_that_fails_costs_the_run_nothing(finished: tuple[Path, Done], opened: Any):
    def fail(values: object) -> None:
        raise ConnectionError("no route to host\nmore")

    opened[0].curves = fail
    listener, run = Listener(), experiment(finished)
    said = r"mlflow failed \(ConnectionError: no route to host\); the run goes on"
    with pytest.warns(UserWarning, match=said), logged(run, listener) as log:
        run_directly(Runner(run, log.watch), log.done)
    assert len(listener.seen) == 7
    assert "figures" not in opened[0].said, "it isn't tried again"


def test_the_logger_is_no_part_of_any_key(finished: tuple[Path, Done]):
    assert all(step.ref for step in Runner(experiment(finished)).plan())


def test_a_library_that_is_not_installed_is_named_before_anything_runs(
    dwf: Dwf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tracker, "find_spec", lambda name: None)
    code, _, err = dwf("run", "--direct", SMOKE, "--set", "logger=wandb", "--store", tmp_path)
    assert (code, err) == (2, "dwf: logger: wandb isn't installed; install the extra: uv sync --extra wandb\n")
    assert not list(tmp_path.iterdir())


def test_a_tracker_that_opens_no_run_is_one_line(monkeypatch: pytest.MonkeyPatch):
    def refuse(name: str) -> Any:
        raise ValueError("bad address\nmore")

    monkeypatch.setattr(tracker, "import_module", refuse)
    with pytest.raises(DwfError) as error:
        tracker.tracker_of("mlflow", "smoke", "k")
    assert not isinstance(error.value, UsageError)
    assert str(error.value).startswith("logger: mlflow opens no run (ValueError: bad address); ")
