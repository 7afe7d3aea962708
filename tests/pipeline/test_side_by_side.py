"""Runs that start at the same moment on one store: each ends well, and together they leave what one leaves.

`ROUNDS=20 uv run pytest -n0 -m survey tests/pipeline/test_side_by_side.py` has two and ten runs do so 20 times each, in
a fresh store and in a used one.
"""

import os
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest
from processes import PATIENCE, digests, leftovers, run_to_the_end, serving, started, store_up_to, wait_until
from smoke import SMOKE

from pipeline.prefect.discovery import home_of

ROUNDS = int(os.environ.get("ROUNDS", "20"))


@pytest.fixture(scope="session")
def records(undisturbed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Prefect keeps of a run in a store."""
    folder = tmp_path_factory.mktemp("records")
    code, said = run_to_the_end(store_up_to("report", undisturbed, folder / "store"), log=folder / "log")
    assert code == 0, said
    return home_of(folder / "store")


@pytest.mark.survey
@pytest.mark.parametrize("again", range(ROUNDS))
@pytest.mark.parametrize("runs", [2, 10])
def test_a_fresh_store(runs: int, again: int, undisturbed: Path, tmp_path: Path) -> None:
    at_once(runs, tmp_path / "store", undisturbed)


@pytest.mark.survey
@pytest.mark.parametrize("again", range(ROUNDS))
@pytest.mark.parametrize("runs", [2, 10])
def test_a_used_store(runs: int, again: int, undisturbed: Path, records: Path, tmp_path: Path) -> None:
    store = store_up_to("fit", undisturbed, tmp_path / "store")
    shutil.copytree(records, home_of(store))
    at_once(runs, store, undisturbed)


@pytest.mark.survey
def test_a_run_while_dwf_up_starts(undisturbed: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    with started(store, "run", SMOKE, log=tmp_path / "log") as run, serving(store, tmp_path / "up.log") as deployment:
        deployment.start()
        assert run.wait(PATIENCE) == 0, (tmp_path / "log").read_text()
        wait_until(lambda: deployment.last_state() == "COMPLETED", often=1)
    assert digests(store) == digests(undisturbed)
    assert leftovers(store) == []


def at_once(runs: int, store: Path, undisturbed: Path) -> None:
    """Start runs at the same moment and wait for all of them."""
    logs = [store.with_name(f"{store.name}.{number}.log") for number in range(runs)]
    with ExitStack() as stack:
        processes = [stack.enter_context(started(store, "run", SMOKE, log=log)) for log in logs]
        codes = [process.wait(PATIENCE) for process in processes]
    assert codes == [0] * runs, "".join(log.read_text() for log in logs)
    assert digests(store) == digests(undisturbed)
    assert leftovers(store) == []
