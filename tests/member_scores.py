"""Members' test scores, as evaluate measured them."""

import numpy as np

from stages.artifacts.members import open_weights, open_zoo
from stages.store.arrays import open_group, read
from stages.store.refs import Ref


def measured_scores(made: dict[str, Ref]) -> dict[str, float]:
    """By the names of the members' files, of what each stage made."""
    zoo, packed = open_zoo(made["zoo"]), open_weights(made["pack"])
    files = dict(zip(zoo.names, map(str, zoo.facts("file")), strict=True))
    names, train = np.array(packed.names), packed.facts("split") == "train"
    values = open_group(made["evaluate"].path / "figures.zarr")
    sets = {"members": names[train], "held-out": names[~train]}
    pairs = (zip(who, read(values, f"{group}/score"), strict=True) for group, who in sets.items())
    return {files[name]: float(score) for part in pairs for name, score in part}
