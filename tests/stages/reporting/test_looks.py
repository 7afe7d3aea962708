"""A colour and a marker mean one kind of set through all plots and tables."""

from collections.abc import Iterator
from typing import Any, cast

import pytest
from made_up_figures import made_up
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from stages.evaluation.baselines import BASELINES
from stages.reporting.glossary import glossary
from stages.reporting.looks import INK, LOOKS, look
from stages.reporting.plots import PLOTS
from stages.reporting.plots.weights import PINK_AND_GREEN
from stages.reporting.tables import sets_table

FIGURES = made_up(20)
OF_MEMBERS = {"as trained", "relabelled"}
MEANS = {
    "alignment": dict.fromkeys(OF_MEMBERS, "members"),
    "round_trip": dict.fromkeys(OF_MEMBERS, "held-out"),
    "samples": {"score": "generated", "N&P": "generated"},
    "dispersion": {"": "generated"},
}
"""Labels that name a state or a quantity -> whose it is, by plot."""
BY_COLOUR = {mark.colour: name for name, mark in LOOKS.items()}


def labelled(figure: Figure) -> Iterator[tuple[str, str, str | None]]:
    """Label, colour and marker (None: an area) of every entry of a plot's legends."""
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            if isinstance(handle, Line2D):
                yield label, to_hex(cast(Any, handle.get_color())), str(handle.get_marker())
            elif isinstance(handle, Patch):
                yield label, to_hex(handle.get_facecolor() if handle.get_fill() else handle.get_edgecolor()), None


def test_no_two_kinds_of_set_share_a_colour_or_a_marker_and_every_baseline_has_one():
    assert len(BY_COLOUR) == len({mark.marker for mark in LOOKS.values()}) == len(LOOKS)
    assert LOOKS.keys() >= {baseline.family for baseline in BASELINES}
    assert INK not in BY_COLOUR, "lines that are no set's have the page's ink"
    assert not {to_hex(colour) for colour in PINK_AND_GREEN} & BY_COLOUR.keys()


def whose(plot: str, label: str) -> str:
    """The kind of set that a legend's entry is about."""
    if label in FIGURES.sets:
        return FIGURES.sets[label].family or FIGURES.sets[label].role
    by_label = {mark.label: name for name, mark in LOOKS.items()}
    return MEANS.get(plot, {}).get(label) or by_label.get(label, label)


@pytest.mark.parametrize("plot", PLOTS, ids=lambda plot: plot.name)
def test_a_colour_means_the_same_set_in_every_plot(plot):
    figure = plot.draw(FIGURES)
    entries = [entry for entry in labelled(figure) if entry[0] != "best baseline"]
    for label, colour, marker in entries:
        kind = whose(plot.name, label)
        assert kind in LOOKS, label
        assert colour == LOOKS[kind].colour, label
        assert marker in (None, "None", "", ".", LOOKS[kind].marker), label


def test_every_coloured_mark_of_the_two_sample_plot_is_its_set_s():
    figure = next(plot for plot in PLOTS if plot.name == "two_sample").draw(FIGURES)
    assert figure
    (axes,) = figure.axes
    names = [text.get_text() for text in axes.get_yticklabels()]
    for line in axes.lines:
        if line.get_marker() not in ("None", None, ""):
            entry = FIGURES.sets[names[round(float(cast(Any, line.get_ydata())[0]))]]
            assert (line.get_color(), line.get_marker()) == (look(entry).colour, look(entry).marker)


def test_tables_and_the_glossary_have_the_colours_of_the_plots():
    table = sets_table(FIGURES)
    assert table
    colours = {row.name: row.colour for row in table.rows}
    assert colours == {name: look(entry).colour for name, entry in FIGURES.sets.items()}
    assert {entry.colour for entry in glossary(FIGURES)} == set(colours.values())
