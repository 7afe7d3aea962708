"""The smoke configuration, run once and shared by every test that needs a finished store."""

from collections.abc import Callable
from pathlib import Path

from pipeline.config import load
from pipeline.runner import Runner, run_directly
from stages.store.refs import Ref

PROJECT = Path(__file__).resolve().parents[1]
"""The checkout."""
SMOKE = PROJECT / "conf" / "smoke.yaml"
Done = dict[str, tuple[Ref, bool]]
"""What each stage made, and whether it was reused."""
Dwf = Callable[..., tuple[int, str, str]]
"""The command line in this process: arguments to exit code, standard output, standard error."""


def run_smoke(
    root: Path, *overrides: str, watch: Callable[[str, float, str], None] | None = None, last: str = "report"
) -> Done:
    """Run the dag below `root`."""
    done: Done = {}
    runner = Runner(load(SMOKE, overrides, root))
    if watch:
        runner.watch = watch
    run_directly(runner, lambda stage, ref, reused: done.update({stage: (ref, reused)}), last)
    return done
