"""Every plot of the report in the order of the page, under its headings."""

from stages.audit.drawing import Plot
from stages.audit.plots.fit import dispersion, loss, samples
from stages.audit.plots.likeness import classes, directions, distances, two_sample
from stages.audit.plots.margins import novel_and_performant
from stages.audit.plots.members import alignment, round_trip, spectrum
from stages.audit.plots.plane import mistakes, novelty
from stages.audit.plots.practice import calibration, ensembles, finetuning, transfer
from stages.audit.plots.weights import filters, histograms

SECTIONS: tuple[tuple[str, tuple[Plot, ...]], ...] = (
    ("How good and how new", (novelty, mistakes, novel_and_performant)),
    ("Like trained networks, as a set", (distances, directions, two_sample, classes)),
    ("In use", (ensembles, calibration, finetuning, transfer)),
    ("How the flow was fitted", (loss, dispersion, samples)),
    ("The members and their relabelling", (spectrum, alignment, round_trip)),
    ("Inside the networks", (histograms, filters)),
)
PLOTS = tuple(plot for _, plots in SECTIONS for plot in plots)

__all__ = ["PLOTS", "SECTIONS"]
