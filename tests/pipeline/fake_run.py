"""`dwf run` with stages that do nothing: what FAKE says happens in the stage called fit, or in the shards of the zoo."""

import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pipeline.config import load
from pipeline.runner import Runner
from pipeline.server import run_with_prefect
from stages.errors import Diverged
from stages.store.refs import Ref

CONFIG = Path("conf/smoke.yaml")


def linger(runner: Runner, stage: str) -> None:
    """Stay until told to stop."""
    sys.stdout.write(f"in {stage}\n")
    sys.stdout.flush()
    progress = runner.context(stage, Path(), 1).progress
    while True:
        progress(0.5, "")
        time.sleep(0.05)


def run(runner: Runner, stage: str, upstream: dict[str, Ref]) -> tuple[Ref, bool]:
    """An empty folder is a finished artifact."""
    del upstream
    if stage == "fit" and os.environ.get("FAKE") == "linger 3":
        sys.stdout.write("in 3\n"); sys.stdout.flush(); time.sleep(3)
    if stage == "fit" and os.environ.get("FAKE") == "linger":
        linger(runner, stage)
    if stage == "fit" and os.environ.get("FAKE") == "diverge":
        raise Diverged("fit: the loss is nan at step 3")
    folder = runner.root / stage
    there = folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    return Ref(stage=stage, key=stage, path=folder, digest=""), there


def run_unit(runner: Runner, stage: str, unit: Any, total: int, upstream: dict[str, Ref]) -> bool:
    """The shard with number 0 is there already."""
    del total, upstream
    if os.environ.get("FAKE") == "linger in shards":
        linger(runner, stage)
    return unit.index > 0


def fake(patch: Any) -> None:
    """Put these in place of the runner's; `patch` is `setattr` or a monkeypatch's."""
    patch(Runner, "run", run)
    patch(Runner, "run_unit", run_unit)
    patch(Runner, "units", lambda runner, stage, up: [SimpleNamespace(index=i) for i in range(2 * (stage == "zoo"))])


class Lines:
    """Writes a line per stage."""

    def watch(self, stage: str, share: float, note: str) -> None:
        """Say nothing."""

    def done(self, stage: str, ref: Ref, reused: bool) -> None:
        """Say what became of the stage."""
        sys.stdout.write(f"{stage} {'reused' if reused else 'done'}\n")


if __name__ == "__main__":
    fake(setattr)
    store = Path(sys.argv[1])
    run_with_prefect(CONFIG, ["fit.steps=50"], store, None, load(CONFIG, ["fit.steps=50"], store), Lines())
