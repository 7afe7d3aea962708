"""Sentences that define a table's units as evaluate computed them."""

from stages.evaluation.figures import Figures
from stages.reporting.wording import score_text


def bar(figures: Figures) -> str:
    """The score from which a network counts as performant."""
    if figures.bar is None:
        return ""
    quantile = f"{100 * figures.bar_quantile:.3g} % quantile of the members' test scores"
    return f"The bar is {score_text(figures).text(figures.bar)}, the {quantile}."


def tau(figures: Figures) -> str:
    """The unit of distance."""
    if figures.tau is None:
        return ""
    other = "nearest other one" if figures.group is None else f"nearest one of another run ({figures.group})"
    what = f"τ is {figures.tau:.4g}, the median aligned distance of a member to the {other}"
    if figures.relabelled:
        return f"{what}: the least L2 that was found with units relabelled to fit."
    return f"{what}; aligned distances are L2 as the rows are, since nothing was relabelled for them."


def barrier(figures: Figures) -> str:
    """The loss barrier of the table of relabelled members."""
    effects = figures.canonicalization
    if effects is None or effects.barrier_before is None:
        return ""
    return (
        "Their loss barrier is the loss half way between a member and the reference less the mean of both ends, on "
        "validation data; 0 is none."
    )


def tolerance(figures: Figures) -> str:
    """From which error on a prediction is a mistake, in a regression."""
    if not figures.tolerance:
        return ""
    return (
        f"A prediction counts as a mistake when it is off by more than {figures.tolerance:.4g}, the members' median "
        "absolute error."
    )
