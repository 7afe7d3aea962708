"""The verdict on a sweep: its best combination of values, and how many combinations are both accurate and new."""

from stages.evaluation.figures import Verdict
from stages.evaluation.metrics.novelty import distance_in_tau
from stages.evaluation.metrics.performance import score
from stages.reporting.sweep_results import OverRuns, SweepResults, SweepRow, value_text

WORDS = {
    "accurate": "accurate",
    "new": "new",
    "better_than_baselines": "better than every baseline",
    "indistinguishable": "not told by a classifier",
}
"""The verdict's answers, each a figure of a point: 1 for yes, 0 for no."""
assert WORDS.keys() == Verdict.model_fields.keys()


def best(sweep: SweepResults) -> SweepRow:
    """The row with most answers yes, a share of its runs counting as much, and of such rows that of the best score."""
    return max(sweep.rows, key=lambda row: (sum(_mean(row, name) for name in WORDS), _mean(row, score.name)))


def verdict(sweep: SweepResults) -> str:
    """The best combination with its figures, and how it was chosen."""
    if len(sweep.rows) < 2:
        return ""
    row = best(sweep)
    values = ", ".join(f"{sweep.names[key]} {value_text(value)}" for key, value in row.values.items())
    found, distance = row.figures.get(score.name), row.figures.get(distance_in_tau.name)
    parts = [
        sweep.words.spread(found.mean, found.std or 0.0) if found else "",
        f"{distance.mean:.2f} τ from the members" if distance else "",
        *(f"{words}: {_answer(row.figures[name], row.runs)}" for name, words in WORDS.items() if name in row.figures),
    ]
    both = sum(_mean(each, "accurate") == _mean(each, "new") == 1 for each in sweep.rows)
    of_all = f"{both} of {len(sweep.rows)} combinations {'is' if both == 1 else 'are'} accurate and new in every run."
    why = "No other has more of these answers yes"
    if found:
        why += " or, with as many, a better score; it was chosen by the test data, which flatters its figures"
    return f"Best: {values} ({'; '.join(filter(None, parts))}). {why}. {of_all}"


def _mean(row: SweepRow, name: str) -> float:
    return row.figures[name].mean if name in row.figures else 0.0


def _answer(share: OverRuns, runs: int) -> str:
    """An answer; of several runs, how many say yes."""
    if runs > 1 and 0 < share.mean < 1:
        return f"yes in {100 * share.mean:.0f} % of runs"
    return "yes" if share.mean == 1 else "no"
