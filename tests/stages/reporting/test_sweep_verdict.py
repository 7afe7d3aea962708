"""The best combination of a sweep, and what is said of it, beside sweeps in which that would be false."""

from typing import Any

from figure_builders import figures_of, set_figures

from stages.evaluation.figures import Verdict
from stages.reporting.sweep_page import reports
from stages.reporting.sweep_results import PointResults, SweepResults, measured, rows
from stages.reporting.sweep_verdict import best, verdict

YES = {"accurate": 1.0, "new": 1.0, "better_than_baselines": 1.0, "indistinguishable": 1.0}


def point(steps: int, seed: int = 0, failed: str | None = None, **figures: float) -> PointResults:
    values = {"fit.steps": steps, "fit.seed": seed}
    keys = {"report": f"{steps}-{seed}"}
    return PointResults(values=values, keys=keys, failed=failed, figures=None if failed else figures)


def sweep_of(*points: PointResults) -> SweepResults:
    varied = ["fit.steps", "fit.seed"]
    facts: dict[str, Any] = {"name": "some", "about": "", "base": "conf/x.yaml", "set": [], "varied": varied}
    facts |= {"names": {"fit.steps": "steps", "fit.seed": "seed"}, "score": "accuracy", "points": list(points)}
    counts = {"stage_results": 12, "distinct_results": 8, "rows": rows(varied, points)}
    return SweepResults.model_validate(facts | counts)


def test_the_verdict_s_answers_are_figures_of_a_point():
    figures = figures_of({"generated": set_figures("generated")}, verdict=Verdict(accurate=True, new=False))
    assert measured(figures, None) == {"accurate": 1.0, "new": 0.0}


def test_answers_come_before_the_score_and_the_score_decides_among_equals():
    copies = point(1, score=0.99, accurate=1.0, new=0.0)
    assert best(sweep_of(copies, point(2, score=0.9, **YES))).values == {"fit.steps": 2}
    assert best(sweep_of(copies, point(2, score=0.9, accurate=1.0, new=0.0))).values == {"fit.steps": 1}


def test_what_is_said_of_the_best_is_said_of_no_other():
    good, bad = (
        point(7, score=0.9, score_std=0.01, distance_in_tau=1.1, **YES),
        point(3, score=0.2, accurate=0.0, new=0.0),
    )
    said = verdict(sweep_of(bad, good))
    assert said.startswith("Best: steps 7 (90.00 ± 1.00 %; 1.10 τ from the members; accurate: yes; new: yes; ")
    assert "1 of 2 combinations is accurate and new in every run." in said
    said = verdict(sweep_of(bad, point(7, score=0.9, accurate=1.0, new=0.0)))
    assert "new: no" in said
    assert "0 of 2 combinations are accurate and new" in said
    assert "better than every baseline" not in said, "which wasn't answered"


def test_of_several_runs_it_is_said_how_many():
    said = verdict(sweep_of(point(7, 0, score=0.9, new=1.0), point(7, 1, score=0.8, new=0.0), point(3, score=0.1)))
    assert "new: yes in 50 % of runs" in said
    assert "85.00 ± 7.07 %" in said
    alike = verdict(sweep_of(point(7, 0, score=0.9, new=1.0), point(7, 1, score=0.8, new=1.0), point(3, score=0.1)))
    assert "new: yes)" in alike


def test_it_is_said_what_the_best_was_chosen_by():
    with_data, without = (verdict(sweep_of(point(1, **f), point(2, **f))) for f in ({"score": 0.9}, {"new": 1.0}))
    assert "a better score; it was chosen by the test data" in with_data
    assert "No other has more of these answers yes. " in without
    assert "test data" not in without


def test_one_combination_is_not_called_the_best():
    assert verdict(sweep_of(point(1, 0, score=0.9), point(1, 1, score=0.8))) == ""


def test_reports_of_a_row_are_those_of_its_finished_runs():
    sweep = sweep_of(point(1, 0, score=0.9), point(1, 1, failed="diverged"), point(2, 0, score=0.5))
    assert reports(sweep, sweep.rows[0]) == [("0", "../../7_report/1-0/report.html")]
