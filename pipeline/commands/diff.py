"""`dwf diff`: what differs between two artifacts, experiments or configurations, and what came of it."""

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.options import Data, Store, complete_artifact_or_configuration, store_root, trusts
from pipeline.commands.terminal import Terminal, command

if TYPE_CHECKING:
    from rich.table import Table

    from pipeline.comparison import FigureDifference, StageDifference

HELP = "An artifact (as for `show`), an experiment, or a configuration."
NONE = "–"


@command
@trusts
def diff(
    terminal: Terminal,
    a: Annotated[str, typer.Argument(metavar="A", help=HELP, autocompletion=complete_artifact_or_configuration)],
    b: Annotated[str, typer.Argument(metavar="B", help="The same.", autocompletion=complete_artifact_or_configuration)],
    store: Store = None,
    data_root: Data = None,
) -> None:
    """Compare two artifacts with their lineage, two experiments or two configurations: parameters, code, figures."""
    from pipeline.comparison import figure_differences, side, stage_differences

    root = store_root(store)
    old, new = side(a, root, data_root), side(b, root, data_root)
    stages, figures = stage_differences(old, new), figure_differences(old, new, root)
    if not (terminal.json or terminal.quiet):
        terminal.say(f"a  {old.name}", f"b  {new.name}", "", stages_table(stages))
        _say_figures(terminal, figures)
    changed = [difference.stage for difference in stages if not difference.same]
    terminal.give({"a": old.name, "b": new.name, "stages": stages, "figures": figures}, changed)


def stages_table(stages: "list[StageDifference]") -> "Table":
    """A row per stage: same, or its two keys and everything that differs, a line each."""
    from rich.table import Table
    from rich.text import Text

    table = Table("stage", "a", "b", "differences", box=None, pad_edge=False)
    for stage in stages:
        old, new = (key or NONE for key in stage.keys)
        code = [f"code of {file}" for file in stage.code]
        lines = [*stage.params, *code, *stage.versions]
        if stage.same:
            lines = ["same"]
        elif None in stage.keys:
            lines = ["only one of them has it"]
        table.add_row(stage.stage, old, "" if stage.same else new, Text("\n".join(lines or ["only what is upstream"])))
    return table


def _say_figures(terminal: Terminal, figures: "list[FigureDifference]") -> None:
    """A row per set of networks; what differs is shown as a → b."""
    if not figures:
        return
    from pipeline.console import figures_table

    pairs = {row.name: [(old or NONE, new or NONE) for old, new in row.cells.values()] for row in figures}
    rows = {name: [a if a == b else f"{a} → {b}" for a, b in cells] for name, cells in pairs.items()}
    table, left_out = figures_table(list(figures[0].cells), rows, terminal.console.width)
    terminal.say("", table)
    if left_out:
        terminal.say(f"(no room here for {', '.join(left_out)}; --json has all)", style="dim")
