"""`dwf repair`: what is damaged, made anew."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.options import Artifact, Data, Store, complete_configuration, store_root, trusts
from pipeline.commands.terminal import Terminal, command, interruptible
from pipeline.dag import STAGES


@command
@trusts
def repair(
    terminal: Terminal,
    artifact: Artifact,
    config: Annotated[
        Path | None,
        typer.Argument(
            metavar="[CONFIG]",
            help="Configuration that made it, if there is no record of the run.",
            autocompletion=complete_configuration,
        ),
    ] = None,
    store: Store = None,
    data_root: Data = None,
) -> None:
    """Make an artifact, and what it was made from, anew where damaged or missing; say whether the digest is the old."""
    root = store_root(store)
    with terminal.busy(f"looking for {artifact}"):
        from pipeline.config import load
        from pipeline.repair import Repair, find_stage, runner_of
        from pipeline.runner import Runner

        stage, key = find_stage(root, artifact)
        runner = Runner(load(config, (), root, data_root)) if config else runner_of(root, stage, key)
    with interruptible(), terminal.lines(stages=STAGES[: STAGES.index(stage) + 1]) as lines:
        runner.watch = lines.watch
        repaired = Repair(runner, stage, key).run()
    for done in repaired:
        terminal.say(f"{done.stage} {done.key}: {'; '.join(done.problems)}", f"  made anew: {done.verdict}")
    if not repaired:
        terminal.say(f"{stage} {key}: sound, as is everything that it was made from")
    terminal.give({"stage": stage, "key": key, "repaired": repaired}, [done.path for done in repaired])
