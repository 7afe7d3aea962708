"""Whether one network can be trained on several data sets."""

from stages.datasets import Train
from stages.errors import UsageError


def check_alike(first: tuple[str, Train], other: tuple[str, Train]) -> None:
    """Raise UsageError naming both data sets unless inputs have as many values and targets are classes in both or neither.

    How many classes there are is no matter here: a subset of them is a data set, too, and a network may have more outputs.
    """
    (name, data), (second, theirs) = first, other
    if _told(data) != _told(theirs):
        raise UsageError(
            f"zoo.other_datasets: {second} has {_told(theirs)}, but {name} has {_told(data)}; data sets of one zoo must be alike: "
            f"set size and channels of images, e.g. {{name: {second}, size: 8, channels: 1}}, or leave {second} out"
        )


def _told(data: Train) -> str:
    kind = "values" if data.inputs.is_floating_point() else "tokens"
    asked = "one number to predict" if data.targets.is_floating_point() else "classes"
    return f"inputs of {data.inputs[0].numel()} {kind} and {asked}"
