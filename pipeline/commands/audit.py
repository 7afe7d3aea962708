"""`dwf audit` and `dwf compare`: networks of other generators, judged as ours are."""

import time
from typing import Annotated

import typer

from pipeline.commands.options import Data, File, Set, Store, trusts
from pipeline.commands.runs import conclude
from pipeline.commands.sweep import run_all
from pipeline.commands.terminal import Terminal, command, interruptible


@command
@trusts
def audit(
    terminal: Terminal,
    members: Annotated[
        str, typer.Option("--members", help="Members: a folder or pattern of checkpoints, or a configuration.")
    ],
    generated: Annotated[str, typer.Option("--generated", help="Networks of another generator: a folder or pattern.")],
    model: Annotated[str | None, typer.Option("--model", help="Their network, e.g. timm:resnet18.")] = None,
    shape: Annotated[str | None, typer.Option("--input", help="Shape of its input, e.g. 3,32,32.")] = None,
    kwargs: Annotated[str, typer.Option("--kwargs", metavar="JSON", help="Arguments of the model's factory.")] = "{}",
    data: Annotated[str | None, typer.Option("--data", help="Data set to score on; without it weights alone.")] = None,
    heldout: Annotated[int | None, typer.Option("--heldout", min=2, help="Members to hold out; a fifth.")] = None,
    name: Annotated[str, typer.Option("--name", help="Name in listings and on the report.")] = "audit",
    overrides: Set = None,
    store: Store = None,
    data_root: Data = None,
    print_config: Annotated[bool, typer.Option("--print-config", help="Print the configuration, run nothing.")] = False,
) -> None:
    """Judge networks that another generator made: as good as members, new, and better than trivial baselines?"""
    from pipeline.audit import Audit

    began, asked = time.monotonic(), Audit(members, generated, model, shape, kwargs, data, heldout, name)
    if print_config:
        import yaml

        terminal.say(yaml.safe_dump(asked.values(), sort_keys=False).rstrip())
        terminal.give(asked.values())
        return
    with terminal.busy(f"reading {members} and {generated}"):
        from pipeline.console import sizes_of
        from pipeline.runner import Runner, run_directly

        runner = Runner(asked.experiment(overrides or (), store, data_root))
        planned = runner.plan()
    stages = [step.stage for step in planned]
    with interruptible(), terminal.lines(sizes_of(runner.experiment), stages) as lines:
        runner.watch = lines.watch
        run_directly(runner, lines.done)
    conclude(terminal, name, planned, store, began)


@command
@trusts
def compare(
    terminal: Terminal,
    config: File,
    generators: Annotated[
        list[str],
        typer.Argument(metavar="NAME=FILES...", help="Other generators' networks, e.g. theirs='theirs/*.pt'."),
    ],
    overrides: Set = None,
    store: Store = None,
    data_root: Data = None,
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, help="Stage results made at a time.")] = None,
    no_flow: Annotated[bool, typer.Option("--no-flow", help="Without the configuration's own flow.")] = False,
) -> None:
    """Judge several generators beside the same zoo, our flow among them: one table, one frontier, a verdict each."""
    with terminal.busy(f"reading {config} and the networks of every generator"):
        from pipeline.sweep.generators import comparison, generator_points

        points = generator_points(config, generators, overrides or (), store, data_root, ours=not no_flow)
    with interruptible():
        run_all(terminal, comparison(config, points), points, overrides or [], jobs)
