"""Which packed networks generated ones are compared with: of a zoo of several data sets, those of their own."""

from pathlib import Path

import numpy as np

from stages.artifacts.members import dataset_of
from stages.artifacts.reduction import part_of
from stages.store.weights import Weights


def comparable(packed: Weights, sampled: Weights, folder: Path) -> Weights:
    """All packed networks or, where they are of several data sets, those of the one that the sampled networks were drawn
    for, as a store of their own below `folder`: means, spectra and distances are then theirs alone.

    Raises UsageError if the sampled networks' condition names no data set.
    """
    if "datasets" not in packed.attrs:
        return packed
    condition = sampled.attrs.get("condition", {})
    dataset = dataset_of(packed, condition)
    assert dataset is not None, "several data sets, and the condition names one"
    index = np.flatnonzero(packed.facts("dataset") == condition["dataset"])
    folder.mkdir(exist_ok=True)
    return part_of(packed, index, {"dataset": dataset.model_dump(mode="json")}, folder / "members.zarr")
