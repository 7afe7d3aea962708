"""Power cuts anywhere in a whole run: no state that POSIX allows holds a false artifact, or can't be run on from."""

from pathlib import Path

import pytest
from crash_recorder import Record, recorded
from crash_verdicts import not_healed, violations
from smoke import SMOKE, run_smoke

from pipeline.config import load
from pipeline.runner import Runner, run_directly
from stages.store.refs import Ref

BOUND, RERUNS = 20, 100
"""States of each kind of reordering at each moment, and states from which the run is run again."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, dict[str, Ref]]:
    """The record of a smoke run in a fresh store, and what it made."""
    root, refs = tmp_path_factory.mktemp("store"), dict[str, Ref]()

    def done(stage: str, ref: Ref, reused: bool) -> None:
        refs[stage] = ref
        record.done(f"{stage}/{ref.key}")

    with recorded(root) as record:
        run_directly(Runner(load(SMOKE, (), root)), done)
    return record, refs


@pytest.mark.survey
def test_no_artifact_of_a_run_is_false_or_lost_after_any_crash(run: tuple[Record, dict[str, Ref]]):
    record, refs = run
    assert violations(record, {(stage, ref.key): ref.digest for stage, ref in refs.items()}, BOUND) == []


@pytest.mark.survey
def test_a_run_after_any_crash_ends_with_the_same_digests(run: tuple[Record, dict[str, Ref]]):
    def digests(root: Path) -> dict[str, str]:
        return {stage: ref.digest for stage, (ref, _) in run_smoke(root, last="evaluate").items()}

    record, refs = run
    expected = {stage: ref.digest for stage, ref in refs.items() if stage != "report"}  # which has clock times
    assert list(not_healed(record, digests, expected, RERUNS)) == []
