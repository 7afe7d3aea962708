"""`dwf run` with stages that do nothing: FAKE says what happens in fit, or in the shards of the zoo."""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from pipeline.config import load
from pipeline.prefect.launch import run_with_prefect
from pipeline.runner import Runner
from stages.errors import Diverged
from stages.store.artifact import files_below
from stages.store.files import FORMAT_VERSION
from stages.store.manifest import MANIFEST, Manifest, facts_of, seal_of
from stages.store.refs import Ref

CONFIG = Path("conf/smoke.yaml")
SHARDS = 3


class Served(NamedTuple):
    """A store, the API of a server that records its runs, and a way to query it."""

    store: Path
    url: str
    ask: Callable[..., list[dict[str, Any]]]


def run(runner: Runner, stage: str, upstream: dict[str, Ref]) -> tuple[Ref, bool]:
    """The artifact of a stage is a folder with a manifest."""
    del upstream
    if stage == "fit":
        misbehave(runner, stage)
    folder = runner.root / stage
    there = folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    leave_manifest(folder, stage)
    return Ref(stage=stage, key=stage, path=folder, digest=""), there


def leave_manifest(folder: Path, stage: str) -> None:
    """Say that the stage took 1.5 seconds and ended with a loss of 0.25."""
    nothing = {name: {} for name in ("params", "upstream", "code", "versions")}
    texts = dict.fromkeys(("experiment", "created", "device", "digest", "seal"), "")
    counts = {"format_version": FORMAT_VERSION, "threads": 1, "peak_memory_mb": 0, "seconds": 1.5}
    files = {name: facts_of(path) for name, path in files_below(folder)}
    made = {"stage": stage, "key": stage, "summary": {"step": 50, "loss": 0.25}, "files": files}
    fields = Manifest(**made, **nothing, **texts, **counts)
    sealed = fields.model_copy(update={"seal": seal_of(json.loads(fields.model_dump_json()))})
    (folder / MANIFEST).write_text(sealed.model_dump_json())


def run_unit(runner: Runner, stage: str, unit: Any, total: int, upstream: dict[str, Ref]) -> bool:
    """The shard with number 0 is always there already."""
    assert total == SHARDS
    assert upstream == {}
    if os.environ.get("FAKE") == "linger in shards":
        linger(runner, stage)
    return unit.index > 0


def misbehave(runner: Runner, stage: str) -> None:
    """Fail or stay, if FAKE says so."""
    match os.environ.get("FAKE"):
        case "linger":
            linger(runner, stage)
        case "diverge":
            raise Diverged("fit: the loss is nan at step 3")
        case "interrupt":
            raise KeyboardInterrupt


def linger(runner: Runner, stage: str) -> None:
    """Stay until told to stop."""
    sys.stdout.write(f"in {stage}\n")
    sys.stdout.flush()
    progress = runner.context(stage, Path(), 1).progress
    while True:
        progress(0.5, "")
        time.sleep(0.05)


def fake(patch: Any) -> None:
    """Put these in place of the runner's; `patch` is `setattr` or a monkeypatch's."""
    patch(Runner, "run", run)
    patch(Runner, "run_unit", run_unit)
    patch(
        Runner, "units", lambda _, stage, __: [SimpleNamespace(index=i) for i in range(SHARDS if stage == "zoo" else 0)]
    )


class Lines:
    """Keeps and writes a line per stage."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def watch(self, stage: str, share: float, note: str) -> None:
        """Say nothing."""

    def done(self, stage: str, ref: Ref, reused: bool) -> None:
        """Say what became of the stage."""
        self.said.append(f"{stage} {'reused' if reused else 'done'}")
        sys.stdout.write(self.said[-1] + "\n")


if __name__ == "__main__":
    fake(setattr)
    store = Path(sys.argv[1])
    run_with_prefect(CONFIG, ["fit.steps=50"], store, None, load(CONFIG, ["fit.steps=50"], store), Lines())
