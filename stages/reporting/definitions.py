"""Sentences that define a table's units as evaluate computed them."""

from stages.evaluation.figures import Figures
from stages.evaluation.metrics.performance import ensemble_curve, with_reference_statistics
from stages.reporting.ensembles_table import noised_copies
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


def baselines(figures: Figures) -> str:
    """What baselines are for, and how they are treated."""
    if not any(entry.role == "baseline" for entry in figures.sets.values()):
        return ""
    again = " BatchNorm statistics are measured for them as for generated networks." if _has_batchnorm(figures) else ""
    return (
        "Baselines take no generator, and are measured on the same data: what a generator is worth is what it does "
        f"better than they do at the same distance from the members.{again}"
    )


def _has_batchnorm(figures: Figures) -> bool:
    return with_reference_statistics.of(figures.sets.get("generated")) is not None


def averages(figures: Figures) -> str:
    """What the averages of other sets are that those of generated networks stand beside."""
    held_out, copies = figures.sets.get("held-out"), noised_copies(figures)
    parts = []
    if held_out and ensemble_curve.of(held_out):
        origin = "" if figures.imported else ", of networks trained from seeds of their own"
        parts.append(f"An average of held-out members is a deep ensemble{origin}")
    if copies and ensemble_curve.of(figures.sets[copies]):
        parts.append(f"{copies} are members with the noise that comes nearest to the generated networks' distance")
    return f"{'; '.join(parts)}." if parts else ""


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
