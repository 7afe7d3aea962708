"""The dag as a Prefect flow: the same stages, told to Prefect, with the same errors."""

import errno
import json
import logging
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import fake_run
import pytest
import yaml
from fake_run import CONFIG, SHARDS, Lines, Served
from smoke import PROJECT

from pipeline.config import load
from pipeline.dag import STAGES, dag
from pipeline.runner import Runner
from stages.errors import Diverged, DwfError
from stages.reporting.summary import ReportSummary, SummaryRow
from stages.store.refs import Ref

SUMMARY = ReportSummary(
    title="smoke",
    verdict="As accurate as members: yes.",
    findings=["Farther than noise."],
    columns=["networks", "accuracy, %"],
    rows=[SummaryRow(name="generated", role="generated", cells=["8", "96.25 ± 0.20"])],
)


@pytest.fixture(autouse=True)
def faked(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_run.fake(monkeypatch.setattr)


def run(served: Served, store: Path, **parameters: Any) -> Lines:
    """A run of the flow in this process."""
    from pipeline.prefect.flow import run_here

    lines = Lines()
    run_here(served.url, {"config": str(CONFIG), "store": str(store), **parameters}, lines)
    return lines


def last_run(served: Served) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The latest flow run, and its task runs by name."""
    flow_run = served.ask("flow_runs", sort="START_TIME_DESC", limit=1)[0]
    tasks = served.ask("task_runs", flow_runs={"id": {"any_": [flow_run["id"]]}})
    return flow_run, {task["name"]: task for task in tasks}


def test_every_stage_and_shard_is_a_task_and_a_second_run_finds_them_cached(served: Served, tmp_path: Path) -> None:
    assert run(served, tmp_path).said == [f"{stage} done" for stage in STAGES]
    flow_run, tasks = last_run(served)
    assert flow_run["state_name"] == "Completed"
    shards = {f"zoo shard {i}": "Completed" if i else "Cached" for i in range(SHARDS)}
    assert {name: task["state_name"] for name, task in tasks.items()} == dict.fromkeys(STAGES, "Completed") | shards
    assert tasks["fit"]["state"]["message"] == str(tmp_path / "fit")
    assert list((tmp_path / ".prefect" / "runs").glob("*.lock")) == []

    assert run(served, tmp_path).said == [f"{stage} reused" for stage in STAGES]
    assert {name: task["state_name"] for name, task in last_run(served)[1].items()} == (
        dict.fromkeys(STAGES, "Cached") | shards
    )


def test_a_run_is_named_by_its_experiment_and_the_reports_key_and_tagged(served: Served, tmp_path: Path) -> None:
    run(served, tmp_path, overrides={"name": "mine"})
    planned = Runner(load(CONFIG, ["name=mine"], tmp_path)).plan()
    flow_run = last_run(served)[0]
    assert flow_run["name"] == f"mine {planned[-1].key[:8]}"
    assert flow_run["tags"] == ["cpu", "iris", "mine"]


def test_prefect_is_shown_who_needs_whom(served: Served, tmp_path: Path) -> None:
    run(served, tmp_path)
    tasks = last_run(served)[1]
    names = {task["id"]: name for name, task in tasks.items()}
    needs: dict[str, set[str]] = {}

    def call(stage: str, /, **upstream: str) -> str:
        needs[stage] = set(upstream.values())
        return stage

    dag(call)
    needs["zoo"] = {f"zoo shard {i}" for i in range(SHARDS)}
    for stage in STAGES:
        shown = [names[i["id"]] for inputs in tasks[stage]["task_inputs"].values() for i in inputs]
        assert set(shown) == needs[stage]


def logged(served: Served, until: str) -> list[str]:
    """The log of the latest run once it has a line, or after ten seconds."""
    run_id = last_run(served)[0]["id"]
    deadline = time.monotonic() + 10
    while True:
        lines = [log["message"] for log in served.ask("logs", logs={"flow_run_id": {"any_": [run_id]}})]
        if any(until in line for line in lines) or time.monotonic() > deadline:
            return lines
        time.sleep(0.2)


def test_a_stages_error_comes_out_as_it_was_and_is_not_tried_again(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAKE", "diverge")
    with pytest.raises(Diverged, match=r"^fit: the loss is nan at step 3$"):
        run(served, tmp_path)
    assert capfd.readouterr().err == ""
    flow_run, tasks = last_run(served)
    for record in (flow_run, tasks["fit"]):
        assert (record["state_name"], record["state"]["message"]) == ("Failed", "fit: the loss is nan at step 3")
    assert tasks["fit"]["run_count"] == 1
    assert "sample" not in tasks


def test_a_wrong_parameter_is_refused_as_on_the_command_line(served: Served, tmp_path: Path) -> None:
    with pytest.raises(DwfError, match=r"fit\.stepz: unknown key \(value 5\); .*; did you mean 'steps'"):
        run(served, tmp_path, overrides={"fit.stepz": 5})


@pytest.mark.parametrize(
    ("failure", "tries"),
    [
        (OSError(errno.EIO, "Input/output error"), 3),
        (ConnectionResetError("by peer"), 3),
        (FileNotFoundError(errno.ENOENT, "No such file"), 1),
        (MemoryError("of the GPU"), 1),
    ],
)
def test_what_may_pass_gets_two_more_tries_and_nothing_else(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception, tries: int
) -> None:
    from pipeline.prefect.flow import run_stage

    monkeypatch.setattr(run_stage, "retry_delay_seconds", [0, 0])
    failures = [failure] * 2

    def misbehave(runner: Runner, stage: str) -> None:
        if failures:
            raise failures.pop()

    monkeypatch.setattr(fake_run, "misbehave", misbehave)
    if tries > 1:
        assert run(served, tmp_path).said[-1] == "report done"
    else:
        with pytest.raises(type(failure)):
            run(served, tmp_path)
    fit = last_run(served)[1]["fit"]
    assert fit["run_count"] == tries
    assert tries > 1 or str(failure) in fit["state"]["message"], "the reason stands on Prefect's page"


def test_an_interrupted_run_stops_its_shards_and_is_recorded(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = []

    def interrupted(runner: Runner, stage: str) -> None:
        stopped.append(runner.stop)
        raise KeyboardInterrupt

    monkeypatch.setattr(fake_run, "misbehave", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(served, tmp_path)
    assert stopped[0].is_set()
    flow_run, tasks = last_run(served)
    assert (flow_run["state_name"], tasks["fit"]["state_name"]) == ("Crashed", "Crashed")


def test_the_log_has_what_stages_made_and_scores_and_prefects_page_the_report(served: Served, tmp_path: Path) -> None:
    report = tmp_path / "report"
    report.mkdir()
    SUMMARY.write(report)
    (report / "novelty.png").write_bytes(b"png")
    run(served, tmp_path)
    lines = logged(served, until=SUMMARY.verdict)
    assert f"fit done in 1.5 s: 50 steps, loss 0.25; {tmp_path / 'fit'}" in lines
    assert f"report reused: 50 steps, loss 0.25; {report}" in lines
    assert "generated: networks 8; accuracy, % 96.25 ± 0.20" in lines
    made = served.ask("artifacts", task_runs={"id": {"any_": [last_run(served)[1]["report"]["id"]]}})
    by_type = {artifact["type"]: artifact["data"] for artifact in made}
    assert json.loads(by_type["table"]) == [{"set": "generated", "networks": "8", "accuracy, %": "96.25 ± 0.20"}]
    assert by_type["markdown"] == (
        f"As accurate as members: yes.\n\nReport: `{report}/report.html`\n\n- Farther than noise."
    )
    assert by_type["image"] == "data:image/png;base64,cG5n"


def test_a_renamed_key_is_noted_in_the_runs_log_once(served: Served, tmp_path: Path) -> None:
    run(served, tmp_path, overrides={"fit.watch": 4})
    notices = [line for line in logged(served, until="fit.watch") if "fit.watch" in line]
    assert notices == ["fit.watch is now called fit.eval_samples; the earlier name works until the next release"]


def test_without_a_console_progress_goes_to_prefect_but_seldom(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from pipeline.prefect import artifacts as page

    told: list[Any] = []
    clock = [0.0]
    monkeypatch.setattr("stages.progress.time.monotonic", lambda: clock[0])
    monkeypatch.setattr(page, "get_run_logger", lambda: _Log(told))
    monkeypatch.setattr(page, "create_progress_artifact", lambda *a, **k: told.append(a) or uuid4())
    monkeypatch.setattr(page, "update_progress_artifact", lambda bar, percent: told.append(percent))
    progress = page.Progress()
    for step in range(101):  # 25 seconds
        clock[0] = step / 4
        progress.watch("fit", step / 100, f"step {step}")
    progress.done("fit", Ref(stage="fit", key="k", path=tmp_path, digest=""), reused=False)
    lines = [item for item in told if isinstance(item, str)]
    assert lines == ["fit 40 %  step 40", "fit 80 %  step 80"]
    moves = [item for item in told if not isinstance(item, str)]
    assert moves == [(4,), *(pytest.approx(percent) for percent in range(8, 101, 4)), 100]


class _Log:
    def __init__(self, told: list[Any]) -> None:
        self.told = told

    def info(self, text: str, *values: Any) -> None:
        self.told.append(text % values)


@pytest.mark.parametrize(("error", "shown"), [(Diverged("fit: the loss is nan"), False), (ValueError("odd"), True)])
@pytest.mark.parametrize("logger", ["prefect.flow_runs", "prefect.engine"])
def test_an_error_that_explains_itself_has_no_traceback_in_a_deployments_log(
    served: Served, logger: str, error: Exception, shown: bool
) -> None:
    from pipeline.prefect.logs import explain_in_one_line

    explain_in_one_line()
    try:
        raise error
    except type(error):
        record = logging.makeLogRecord({"msg": "Execution exited %s", "args": ("oddly",), "exc_info": sys.exc_info()})
    assert logging.getLogger(logger).filter(record)
    lines = logging.Formatter().format(record).splitlines()
    assert (lines[:2] == ["Execution exited oddly", "Traceback (most recent call last):"]) == shown
    assert shown or lines == [str(error)]


@pytest.mark.parametrize("entrypoint", ["pipeline/prefect/flow.py:dwf", "pipeline.prefect.flow.dwf"])
def test_prefect_can_load_the_flow(served: Served, entrypoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.flows import load_flow_from_entrypoint

    monkeypatch.chdir(PROJECT)
    flow = load_flow_from_entrypoint(entrypoint)
    shown = flow.parameters.properties
    built_in, path = shown["config"]["anyOf"]
    assert {"smoke", "iris_mlp", "public/model_j"} <= set(built_in["enum"])
    assert not {"sweeps/smoke", "surveys/symmetry"} & set(built_in["enum"])
    assert path["type"] == "string"
    assert "enum" not in path
    assert list(shown) == ["config", "overrides", "store", "data_root", "force"]
    assert all(field["description"] for field in shown.values())


def test_the_work_pool_deployment_names_the_flow() -> None:
    [deployment] = yaml.safe_load((PROJECT / "prefect.yaml").read_text())["deployments"]
    assert (deployment["name"], deployment["entrypoint"]) == ("full", "pipeline/prefect/flow.py:dwf")
