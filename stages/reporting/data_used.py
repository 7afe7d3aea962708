"""Sentences on the data that networks were scored on: which examples, and how they were given to the networks."""

from stages.evaluation.figures import Figures
from stages.params.own_data import OwnDataset

OURS = ("iris", "digits", "reviews")
"""Data sets that come without a test split: the split is ours, and fixed."""


def scored_on(figures: Figures) -> str:
    """Which examples of which data set are the test data, and whether members may have been trained on them."""
    dataset, count = figures.dataset, figures.test_examples
    if dataset is None or count is None:
        return ""
    ours = not dataset.has_test if isinstance(dataset, OwnDataset) else dataset.name in OURS
    split = "our own fixed test split" if ours else "its authors' test split"
    subset = "a fixed random subset of " if dataset.counts[1] is not None else ""
    classes = f" (classes {', '.join(map(str, only))})" if (only := getattr(dataset, "only", None)) else ""
    overlap = (
        " Members were trained elsewhere: whether they were trained on some of these examples can't be known."
        if figures.imported
        else ""
    )
    return f"Test data: {count:,} examples of {dataset.name}{classes}, {subset}{split}.{overlap}"


def inputs(figures: Figures) -> str:
    """What networks are given of a value of the data set."""
    return "" if figures.inputs is None else f"Inputs: {figures.inputs}."
