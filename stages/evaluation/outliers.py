"""Detection of outliers: examples of another data set, told from test examples by the energy of logits."""

from jaxtyping import Float
from torch import Tensor

from stages.datasets import Test
from stages.errors import UsageError
from stages.evaluation.ranks import exceedance


def energy(logits: Float[Tensor, "networks examples classes"]) -> Float[Tensor, "networks examples"]:
    """-log sum exp of the logits: low where a classifier has seen the like; an ensemble's is the mean of its networks'.

    Source: Liu et al., arXiv 2010.03759, equation 4.
    """
    return -logits.logsumexp(-1)


def outlier_quantities(energies: Float[Tensor, "ensembles examples"], known: int) -> dict[str, Tensor]:
    """AUROC of telling the examples after the first `known` ones by their energy; 0.5 is chance."""
    return {"ood_auroc": exceedance(energies[:, :known], energies[:, known:])}


def check_outliers(name: str, test: Test, outliers: Test) -> None:
    """Raise UsageError unless networks that classify the test data can be given the outliers."""
    if test.targets.is_floating_point():
        raise UsageError(f"evaluate.ood: {name}: the zoo's networks predict numbers, which have no energy")
    expected, actual = list(test.inputs.shape[1:]), list(outliers.inputs.shape[1:])
    if actual != expected or test.inputs.dtype != outliers.inputs.dtype:
        raise UsageError(
            f"evaluate.ood: {name}'s inputs have shape {actual}, but the zoo's networks take {expected}; set size and "
            f"channels of the data set, e.g. {{name: {name}, size: 32, channels: 3}}, or leave it out"
        )
