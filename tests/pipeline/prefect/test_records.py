"""Locks by which runs whose process died are found and closed."""

from pathlib import Path
from typing import Any
from uuid import UUID

import fake_run
import httpx
import pytest
from fake_run import CONFIG, Lines, Served

from pipeline.prefect.discovery import home_of


def test_a_run_that_lost_its_server_is_left_to_the_next_one(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.states import Running

    from pipeline.prefect import flow, records

    fake_run.fake(monkeypatch.setattr)

    def lost(lock: Any) -> None:
        lock.release()
        raise httpx.ConnectError("refused")

    def run() -> None:
        flow.run_here(served.url, {"config": str(CONFIG), "store": str(tmp_path)}, Lines())

    monkeypatch.setattr(flow, "end", lost)
    run()
    [left] = (home_of(tmp_path) / "runs").glob("*.lock")
    with records.get_client(sync_client=True) as client:
        client.set_flow_run_state(UUID(left.stem), Running(), force=True)
    monkeypatch.setattr(flow, "end", records.end)
    run()
    states = {run["id"]: run["state_name"] for run in served.ask("flow_runs")}
    assert states[left.stem] == "Crashed"
    assert list((home_of(tmp_path) / "runs").glob("*.lock")) == []


def test_a_running_run_is_not_taken_for_dead(served: Served, tmp_path: Path) -> None:
    from pipeline.prefect import records

    nobody, somebody = UUID(int=1), UUID(int=2)
    held = records.register(home_of(tmp_path), nobody)
    records.end(records.register(home_of(tmp_path), somebody))
    assert [file.stem for file in (home_of(tmp_path) / "runs").glob("*.lock")] == [str(nobody)]
    assert held.is_locked
    records.end(held)
    assert list((home_of(tmp_path) / "runs").glob("*.lock")) == []
