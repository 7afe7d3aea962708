"""The dag as a Prefect flow: the same stages, told to Prefect, with the same errors."""

import json
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import fake_run
import pytest
import yaml
from fake_run import CONFIG, SHARDS, Lines, Served
from smoke import PROJECT

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
    assert (flow_run["state_name"], flow_run["name"]) == ("Completed", "conf/smoke.yaml")
    shards = {f"zoo shard {i}": "Completed" if i else "Cached" for i in range(SHARDS)}
    assert {name: task["state_name"] for name, task in tasks.items()} == dict.fromkeys(STAGES, "Completed") | shards
    assert tasks["fit"]["state"]["message"] == str(tmp_path / "fit")
    assert list((tmp_path / ".prefect" / "runs").glob("*.lock")) == []

    assert run(served, tmp_path).said == [f"{stage} reused" for stage in STAGES]
    assert {name: task["state_name"] for name, task in last_run(served)[1].items()} == (
        dict.fromkeys(STAGES, "Cached") | shards
    )


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


def test_a_disk_that_hiccups_gets_two_more_tries(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.prefect.flow import OPTIONS

    monkeypatch.setitem(OPTIONS["fit"], "retry_delay_seconds", 0)
    failures = [OSError("once"), OSError("twice")]

    def misbehave(runner: Runner, stage: str) -> None:
        if failures:
            raise failures.pop()

    monkeypatch.setattr(fake_run, "misbehave", misbehave)
    assert run(served, tmp_path).said[-1] == "report done"
    assert last_run(served)[1]["fit"]["run_count"] == 3


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


def test_the_report_is_shown_on_prefects_page(served: Served, tmp_path: Path) -> None:
    report = tmp_path / "report"
    report.mkdir()
    SUMMARY.write(report)
    (report / "novelty.png").write_bytes(b"png")
    (report / "distances.png").write_bytes(bytes(300_000))
    run(served, tmp_path)
    made = served.ask("artifacts", task_runs={"id": {"any_": [last_run(served)[1]["report"]["id"]]}})
    by_type = {artifact["type"]: artifact["data"] for artifact in made}
    assert json.loads(by_type["table"]) == [{"set": "generated", "networks": "8", "accuracy, %": "96.25 ± 0.20"}]
    assert by_type["markdown"] == (
        "As accurate as members: yes.\n\n- Farther than noise.\n\n"
        f"Report: `{report}/report.html`\n\n![novelty](data:image/png;base64,cG5n)"
    )


def test_a_renamed_key_is_noted_in_the_runs_log_once(served: Served, tmp_path: Path) -> None:
    run(served, tmp_path, overrides={"fit.watch": 4})
    deadline = time.monotonic() + 10
    while True:
        logged = [
            log["message"] for log in served.ask("logs", logs={"flow_run_id": {"any_": [last_run(served)[0]["id"]]}})
        ]
        notices = [text for text in logged if "fit.watch" in text]
        if notices or time.monotonic() > deadline:
            break
        time.sleep(0.2)
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
    assert lines == ["fit 40 %  step 40", "fit 80 %  step 80", f"fit done: {tmp_path}"]
    moves = [item for item in told if not isinstance(item, str)]
    assert moves == [(4,), *(pytest.approx(percent) for percent in range(8, 101, 4)), 100]


class _Log:
    def __init__(self, told: list[Any]) -> None:
        self.told = told

    def info(self, text: str, *values: Any) -> None:
        self.told.append(text % values)


@pytest.mark.parametrize("entrypoint", ["pipeline/prefect/flow.py:dwf", "pipeline.prefect.flow.dwf"])
def test_prefect_can_load_the_flow(served: Served, entrypoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.flows import load_flow_from_entrypoint

    monkeypatch.chdir(PROJECT)
    flow = load_flow_from_entrypoint(entrypoint)
    shown = flow.parameters.properties
    assert list(shown) == ["config", "overrides", "store", "data_root"]
    assert all(field["description"] for field in shown.values())


def test_the_work_pool_deployment_names_the_flow() -> None:
    [deployment] = yaml.safe_load((PROJECT / "prefect.yaml").read_text())["deployments"]
    assert (deployment["name"], deployment["entrypoint"]) == ("full", "pipeline/prefect/flow.py:dwf")
