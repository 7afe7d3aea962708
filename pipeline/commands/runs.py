"""`dwf run`, `dwf stage` and `dwf plan`: one configuration through the dag."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.options import (
    FIRST,
    Data,
    Device,
    DryRun,
    File,
    Force,
    Set,
    Stage,
    Store,
    Threads,
    trusts,
    with_hardware,
)
from pipeline.commands.terminal import Terminal, command, interruptible
from pipeline.dag import STAGES
from stages.errors import DwfError, UsageError, did_you_mean

if TYPE_CHECKING:
    from pipeline.estimates.check import Estimate
    from pipeline.runner import Planned


@command
@trusts
def run(
    terminal: Terminal,
    config: File = FIRST,
    overrides: Set = None,
    store: Store = None,
    data_root: Data = None,
    device: Device = None,
    threads: Threads = None,
    direct: Annotated[bool, typer.Option("--direct", help="Without Prefect.")] = False,
    force: Force = False,
    dry_run: DryRun = False,
) -> None:
    """Run the whole dag, from the zoo to the report; stages whose artifacts are there are reused."""
    began, overrides = time.monotonic(), with_hardware(overrides, device, threads)
    if dry_run:
        _plan(terminal, config, overrides, store, data_root)
        return
    with terminal.busy(f"reading {config} and the sources that its keys depend on"):
        from pipeline.config import load
        from pipeline.console import sizes_of
        from pipeline.estimates.check import estimates
        from pipeline.loggers.run_log import logged
        from pipeline.runner import Runner, run_directly

        experiment = load(config, overrides, store, data_root)
        planned = Runner(experiment).plan()
    check_needs(terminal, estimates(experiment, planned), experiment.store_root, force=force)
    there = sum(step.ref is not None for step in planned)
    terminal.say(f"{experiment.name}: {there} of {len(planned)} stages are there, below {experiment.store_root}")
    shown = terminal.lines(sizes_of(experiment), [step.stage for step in planned])
    with interruptible(), shown, logged(experiment, shown) as lines:
        if direct or there == len(planned):  # nothing to do: no server, no torch
            run_directly(Runner(experiment, lines.watch), lines.done)
        else:
            from pipeline.prefect.launch import run_with_prefect

            shown.wait_for("Prefect starts, which takes some seconds; --direct does without it")
            run_with_prefect(config, overrides, store, data_root, experiment, lines)
    conclude(terminal, experiment.name, planned, store, began)


def check_needs(terminal: Terminal, found: Sequence["Estimate"], store: Path, *, force: bool) -> None:
    """Refuse, before anything runs, what needs more than is free, and warn of what may; UsageError names it."""
    from pipeline.estimates.check import check

    for line in check(found, store, force=force):
        terminal.say(f"Warning: {line}", style="yellow")


def conclude(terminal: Terminal, name: str, planned: Sequence["Planned"], store: Path | None, began: float) -> None:
    """Show what a run of the whole dag came to, and what to do next. `began`: when, by the monotonic clock."""
    from pipeline.console import show_results

    report, seconds = planned[-1].path, time.monotonic() - began
    if not terminal.json and not terminal.quiet:
        terminal.say()
        show_results(terminal.console, report)
        at = f" --store {store}" if store else ""
        terminal.say(
            "",
            f"Finished in {seconds:.1f} s. Next:",
            f"  dwf open{at}  # the report, in the browser",
            f"  dwf export {name}:sample networks/{at}  # the networks, as .safetensors",
        )
    terminal.give(_document(planned, report, seconds), [report / "report.html"])


def _document(planned: Sequence["Planned"], report: Path, seconds: float) -> dict[str, object]:
    from stages.reporting.summary import read_summary

    stages = [
        {"stage": step.stage, "key": step.key, "path": step.path, "reused": step.ref is not None} for step in planned
    ]
    summary = read_summary(report)
    return {"stages": stages, "seconds": seconds, "report": report / "report.html", "summary": summary}


@command
@trusts
def stage(
    terminal: Terminal,
    name: Stage,
    config: File,
    overrides: Set = None,
    store: Store = None,
    data_root: Data = None,
    device: Device = None,
    threads: Threads = None,
    only: Annotated[bool, typer.Option("--only", help="Fail if an earlier stage is missing.")] = False,
    force: Force = False,
    dry_run: DryRun = False,
) -> None:
    """Run one stage, and the missing ones before it, without a server."""
    if name not in STAGES:
        raise UsageError(f"{name!r} is no stage{did_you_mean(name, STAGES)}; expected one of {', '.join(STAGES)}")
    overrides = with_hardware(overrides, device, threads)
    if dry_run:
        _plan(terminal, config, overrides, store, data_root, STAGES[: STAGES.index(name) + 1])
        return
    with terminal.busy(f"reading {config} and the sources that its keys depend on"):
        from pipeline.config import load
        from pipeline.console import sizes_of
        from pipeline.estimates.check import estimates
        from pipeline.runner import Runner, run_directly

        runner = Runner(load(config, overrides, store, data_root))
        planned = runner.plan()
    stages = [step.stage for step in planned]
    if name not in stages:
        raise UsageError(f"{name}: no part of this experiment, whose networks are another generator's (sample.source)")
    planned = planned[: stages.index(name) + 1]
    check_needs(terminal, estimates(runner.experiment, planned), runner.root, force=force)
    before = [step for step in planned[:-1] if step.ref is None]
    if only and before:
        raise DwfError(f"{name} needs {before[0].stage}, which isn't there ({before[0].why}); run it, or drop --only")
    with interruptible(), terminal.lines(sizes_of(runner.experiment), stages[: len(planned)]) as lines:
        runner.watch = lines.watch
        ref = run_directly(runner, lines.done, name)
    terminal.give({"stage": name, "key": ref.key, "path": ref.path, "reused": planned[-1].ref is not None}, [ref.path])


@command
@trusts
def plan(
    terminal: Terminal,
    config: File = FIRST,
    overrides: Set = None,
    store: Store = None,
    data_root: Data = None,
) -> None:
    """List the stages: which would be reused, which would run, and why."""
    _plan(terminal, config, overrides or [], store, data_root)


def _plan(
    terminal: Terminal,
    config: Path,
    overrides: list[str],
    store: Path | None,
    data_root: Path | None,
    stages: Sequence[str] = STAGES,
) -> None:
    from pipeline.config import load
    from pipeline.estimates.check import estimates
    from pipeline.estimates.table import plan_document, plan_table, summary
    from pipeline.runner import Runner

    experiment = load(config, overrides, store, data_root)
    every = Runner(experiment).plan()
    planned = [step for step in every if step.stage in stages]
    found = [estimate for estimate in estimates(experiment, every) if estimate.stage in stages]
    todo = [step.stage for step in planned if step.ref is None]
    terminal.say(plan_table(planned, found), "", f"Below {experiment.store_root}.", *([summary(found)] if todo else []))
    terminal.give({"stages": plan_document(planned, found)}, todo)
