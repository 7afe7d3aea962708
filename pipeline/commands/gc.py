"""`dwf gc`: what of the store nothing reaches any more."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.options import Store, store_root
from pipeline.commands.terminal import Terminal, command
from stages.errors import DwfError, UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from pipeline.gc.garbage import Garbage
    from pipeline.gc.leftovers import Leftover

KEPT_RUNS = 20
"""Runs whose artifacts stay whatever became of their configurations."""


@command
def gc(
    terminal: Terminal,
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FOLDER]...",
            help="Configurations that count, by default those in conf/ and directly in the current folder.",
        ),
    ] = None,
    keep_runs: Annotated[
        int, typer.Option("--keep-runs", metavar="N", min=0, help="Keep what the last N runs reach, too.")
    ] = KEPT_RUNS,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove it.")] = False,
    skip: Annotated[
        bool, typer.Option("--skip-unreadable", help="Remove what only unreadable configurations may reach, too.")
    ] = False,
    store: Store = None,
) -> None:
    """List what of the store no configuration and none of the last runs reach; --yes removes it.

    Nothing goes that a run which is going on needs.
    """
    root = store_root(store)
    if wrong := [folder for folder in folders or () if not folder.is_dir()]:
        raise UsageError(f"{wrong[0]}: no such folder; expected folders of configurations")
    with terminal.busy("reading configurations and the sources that their keys depend on"):
        from pipeline.gc.garbage import collect
        from pipeline.gc.removal import remove

        garbage = collect(root, folders or (), keep_runs)
    for file, why in garbage.unreadable.items():
        terminal.say(f"not readable: {file}: {why}")
    if garbage.unreadable and yes and not skip:
        raise DwfError(
            f"{next(iter(garbage.unreadable))}: what this configuration reaches can't be told, so nothing was removed; "
            "mend it, name the folders that count, or add --skip-unreadable"
        )
    gone = remove(root, garbage, keep_runs) if yes else []
    shown = gone if yes else garbage.leftovers
    terminal.say(*([leftovers_table(shown), ""] if shown else []), _summary(garbage, gone, yes))
    document = {
        "leftovers": garbage.leftovers,
        "removed": [leftover.path for leftover in gone],
        "freed": sum(leftover.size for leftover in gone),
        "sizes": garbage.sizes,
        "unreadable": {str(file): why for file, why in garbage.unreadable.items()},
    }
    terminal.give(document, [leftover.path for leftover in shown])


def leftovers_table(leftovers: "Sequence[Leftover]") -> "Table":
    """A row per leftover: what it is, whose, how old, how large, and why it can go."""
    from rich.table import Table

    from pipeline.console import age, human_size

    at = datetime.now(UTC)
    table = Table(box=None, pad_edge=False)
    for heading in ("stage", "name", "experiment", "age", "size", "why"):
        table.add_column(heading, no_wrap=heading in ("stage", "name"))
    for x in leftovers:
        table.add_row(x.stage, x.path.name, x.experiment, age(x.created, at), human_size(x.size), x.why)
    return table


def _summary(garbage: "Garbage", gone: "Sequence[Leftover]", yes: bool) -> str:
    """What was freed or can be, of how much, stage by stage."""
    from pipeline.console import human_size

    concerned = gone if yes else garbage.leftovers
    freed = Counter[str]()
    for leftover in concerned:
        freed[leftover.stage] += leftover.size

    def of(part: int, whole: int) -> str:
        return f"{human_size(part)} of {human_size(whole)}" if part else human_size(whole)

    stages = ", ".join(f"{stage} {of(freed[stage], size)}" for stage, size in garbage.sizes.items())
    whole = f"{of(freed.total(), sum(garbage.sizes.values()))}{f' ({stages})' if stages else ''}"
    if yes:
        spared = len(garbage.leftovers) - len(gone)
        in_use = f"; {spared} in use now stay" if spared else ""
        return f"removed {whole}{in_use}" if gone else f"removed nothing{in_use}"
    return f"can go: {whole}; --yes removes it" if concerned else f"nothing can go of {whole}"
