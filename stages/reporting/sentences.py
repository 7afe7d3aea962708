"""An evaluation's findings beyond its verdict, one sentence each; empty where they weren't measured."""

from collections.abc import Iterator, Mapping
from typing import Any

from stages.reporting.wording import Score, score_of

MOST_NOTES = 6
"""Operations named that were left unpermuted."""


def highlights(figures: Mapping[str, Any]) -> list[str]:
    """What the verdict doesn't say yet, where there is room for a few sentences."""
    told = (gain(figures), repeated(figures), averaged(figures), further_training(figures), pace(figures))
    return [sentence for sentence in told if sentence]


def gain(figures: Mapping[str, Any]) -> str:
    """How the generated networks compare with the best baseline at their own distance from the members."""
    found, score = figures.get("gain_over_baselines") or {}, score_of(figures)
    at, more, error, rival = (found.get(part) for part in ("at", "gain", "error", "rival"))
    if at is None:
        return ""
    if rival is None or more is None:
        return f"No baseline gets as far from the members as the generated networks ({at:.2f} τ)."
    where = f"At {at:.2f} τ from the members"
    if abs(more) <= max(2 * (error or 0.0), 5e-5):
        margin = "" if error is None else f", within two standard errors ({_points(score, more, error)})"
        return f"{where} generated networks do as well as the best baseline, {rival}{margin}."
    word, by = "better" if more > 0 else "worse", _points(score, abs(more), error)
    return f"{where} generated networks do {word} than the best baseline, {rival}, by {by}."


def _points(score: Score, difference: float, error: float | None) -> str:
    """A difference of scores, with its standard error."""
    parts = [difference] if error is None else [difference, error]
    words = " ± ".join(f"{100 * part:.2f}" if score.percent else f"{part:.4f}" for part in parts)
    return f"{words} points" if score.percent else words


def told_apart(figures: Mapping[str, Any]) -> str:
    """Whether a classifier tells generated from held-out networks."""
    tests = _generated(figures).get("two_sample") or {}
    found = [
        f"{_auc(tests[what])} by their {name}"
        for what, name in (("weights", "weights"), ("outputs", "outputs"))
        if (tests.get(what) or {}).get("auc") is not None
    ]
    if not found:
        return ""
    return f"A classifier tells generated from held-out networks with an AUC of {' and '.join(found)}; 0.5 is chance."


def _auc(test: Mapping[str, Any]) -> str:
    low, high = test.get("low"), test.get("high")
    return f"{test['auc']:.2f}" + ("" if low is None or high is None else f" ({low:.2f} to {high:.2f})")


def repeated(figures: Mapping[str, Any]) -> str:
    """How many generated networks repeat another one."""
    count, networks = (_generated(figures).get(part) for part in ("duplicates", "networks"))
    if count is None or networks is None:
        return ""
    if count == 0:
        return "No generated network repeats another."
    return f"{count:,} of {networks:,} generated networks repeat{'s' if count == 1 else ''} an earlier one."


def drawn(figures: Mapping[str, Any]) -> str:
    """How many members and held-out members were measured, where that aren't all."""
    found = []
    for name, total in (figures.get("zoo") or {}).items():
        measured = ((figures.get("sets") or {}).get(name) or {}).get("networks")
        if measured is not None and measured < total:
            found.append(f"{measured:,} of {total:,} {name if name == 'members' else f'{name} members'}")
    if not found:
        return ""
    return f"Measured were {' and '.join(found)}, drawn at random; every network is compared with all members."


def further_training(figures: Mapping[str, Any]) -> str:
    """Whether generated networks need to be trained further."""
    return (figures.get("finetuning") or {}).get("text") or ""


def averaged(figures: Mapping[str, Any]) -> str:
    """What the largest ensembles reach that were measured of both generated networks and members."""
    score, curves = score_of(figures), {}
    for name in ("generated", "members"):
        curve = ((figures.get("sets") or {}).get(name) or {}).get("ensemble_curve") or {}
        pairs = zip(curve.get("sizes") or [], curve.get("score") or [], strict=False)
        curves[name] = {size: value for size, value in pairs if value is not None}
    common = curves["generated"].keys() & curves["members"].keys()
    if not common or (size := max(common)) == 1:
        return ""
    own, trained = (score.say(curves[name][size]) for name in ("generated", "members"))
    return f"Averaged, {size:,} generated networks reach {own}, as many members {trained}."


def pace(figures: Mapping[str, Any]) -> str:
    """How fast networks are generated."""
    per_minute = figures.get("networks_per_minute")
    return "" if per_minute is None else f"{per_minute:,.0f} networks are generated per minute, ready to use."


def round_trip(figures: Mapping[str, Any]) -> str:
    """Whether undoing the relabelling gives back what was trained."""
    exact = (figures.get("canonicalization") or {}).get("bit_exact")
    if exact is None:
        return ""
    return f"Relabelled and put back, members are {'' if exact else 'not '}what they were, bit for bit."


def concentration(figures: Mapping[str, Any]) -> str:
    """How much a few directions say about the members."""
    found = (figures.get("canonicalization") or {}).get("spectrum") or {}
    steep, rank, k = (found.get(part) for part in ("ev0_over_median", "effective_rank", "k"))
    if steep is None or rank is None or k is None:
        return ""
    return f"Their {k:,} principal directions count as {rank:.1f}; the first varies {steep:.3g} times as much as the median one."


def unpermuted(figures: Mapping[str, Any]) -> str:
    """What no relabelling was found for."""
    notes = (figures.get("alignment") or {}).get("unpermuted")
    if notes is None:
        return ""
    return f"Left as trained: {'; '.join(_few(notes))}." if notes else "No operation was left out for want of a rule."


def _few(notes: list[str]) -> Iterator[str]:
    yield from notes[:MOST_NOTES]
    if len(notes) > MOST_NOTES:
        yield f"and {len(notes) - MOST_NOTES} more"


def _generated(figures: Mapping[str, Any]) -> Mapping[str, Any]:
    return (figures.get("sets") or {}).get("generated") or {}
