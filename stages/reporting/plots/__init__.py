"""Every plot of the report in the order of the page, under its headings; a module of this folder holds a section."""

from stages.evaluation.figures import Figures
from stages.reporting.drawing import Plot
from stages.reporting.plots.distribution import classes, directions, distances, two_sample
from stages.reporting.plots.fit import dispersion, loss, samples
from stages.reporting.plots.in_use import calibration, ensembles, finetuning, transfer
from stages.reporting.plots.members import alignment, round_trip, spectrum
from stages.reporting.plots.score_and_novelty import mistakes, nearest_scores, novel_and_performant, novelty
from stages.reporting.plots.weights import filters, histograms

SECTIONS: tuple[tuple[str, tuple[Plot[Figures], ...]], ...] = (
    ("How good and how new", (novelty, mistakes, nearest_scores, novel_and_performant)),
    ("Like trained networks, as a set", (distances, directions, two_sample, classes)),
    ("In use", (ensembles, calibration, finetuning, transfer)),
    ("How the flow was fitted", (loss, dispersion, samples)),
    ("The members and their relabelling", (spectrum, alignment, round_trip)),
    ("Inside the networks", (histograms, filters)),
)
PLOTS = tuple(plot for _, plots in SECTIONS for plot in plots)

__all__ = ["PLOTS", "SECTIONS"]
