"""Whether one network can be trained on several data sets."""

from stages.datasets import Train
from stages.errors import UsageError


def check_alike(first: tuple[str, Train], other: tuple[str, Train]) -> None:
    """Raise UsageError naming both data sets unless inputs have as many values and targets as many classes."""
    (name, data), (second, theirs) = first, other
    if _told(data) != _told(theirs):
        raise UsageError(
            f"zoo.others: {second} has {_told(theirs)}, but {name} has {_told(data)}; data sets of one zoo must be alike: "
            f"set size and channels of images, e.g. {{name: {second}, size: 8, channels: 1}}, or leave {second} out"
        )


def _told(data: Train) -> str:
    classes = 0 if data.targets.is_floating_point() else int(data.targets.max()) + 1
    kind, asked = "values" if data.inputs.is_floating_point() else "tokens", f"{classes} classes"
    return f"inputs of {data.inputs[0].numel()} {kind} and {asked if classes else 'one number to predict'}"
