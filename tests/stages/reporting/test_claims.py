"""Every claim of the report beside planted figures in which it would be false: then the report says something else."""

from collections.abc import Callable
from inspect import getmembers, isfunction
from typing import NamedTuple

import pytest
from figure_builders import figures_of, generated_beside, separated, set_figures, summary_around, zoo_size

from stages.evaluation.figure_parts import (
    Alignment,
    Canonicalization,
    FineTuning,
    Flatness,
    Gain,
    OtherGenerator,
    ScoreCurve,
)
from stages.evaluation.figures import Figures, SetFigures
from stages.evaluation.metrics import COLUMNS
from stages.evaluation.metrics.performance import EnsembleCurve
from stages.evaluation.verdict import verdict
from stages.params.dataset import Table
from stages.reporting import copying, data_used, definitions, other_generator, sentences
from stages.reporting.glossary import glossary
from stages.reporting.plots import PLOTS

SAYS_ELSE = {"findings", "answer_text", "correlation"}
"""Functions of the sentences' modules that make no sentence of their own."""
CAPTIONS = {plot.name: plot.full_caption for plot in PLOTS}


class Claim(NamedTuple):
    """What says it, its words, figures in which it is true, and figures in which it is false."""

    says: Callable[[Figures], str]
    words: str
    true: Figures
    false: Figures


def judged(generated: SetFigures, **others: SetFigures) -> Figures:
    """Generated networks beside members, held-out members, noise and soups, or these others, with their verdict."""
    sets = generated_beside(generated) | {name.replace("_", "-"): entry for name, entry in others.items()}
    return figures_of(sets, verdict=verdict(sets))


def generated(score: float = 0.96, distance: float = 1.0, overlap: float = 0.5, **metrics: object) -> SetFigures:
    return set_figures("generated", score, distance, overlap, **metrics)


def heldout(distance: float = 1.0, overlap: float = 0.5, **metrics: object) -> SetFigures:
    return set_figures("held-out", 0.96, distance, overlap, **metrics)


def probed(exact: bool | None = True, ratio: float = 2.0, barrier: float | None = 0.1) -> Figures:
    flatness = Flatness(ev0_over_median=ratio, effective_rank=3.0, k=4)
    return figures_of({}, canonicalization=Canonicalization(spectrum=flatness, bit_exact=exact, barrier_before=barrier))


def tuned(*means: float) -> Figures:
    """Generated networks of these mean scores along further training, beside members that have 0.96 throughout."""
    sets = {"generated": list(means), "members": [0.96] * len(means)}
    curves = {name: ScoreCurve(mean=scores, std=[0.01] * len(scores)) for name, scores in sets.items()}
    return figures_of({}, finetuning=FineTuning(steps=[0, 50][: len(means)], networks=8, sets=curves))


def averaged(score: float) -> Figures:
    curves = {
        name: EnsembleCurve(sizes=[2], score=[mean], loss=[0.1])
        for name, mean in {"generated": score, "members": 0.95}.items()
    }
    return figures_of({name: set_figures(name, ensemble_curve=curve) for name, curve in curves.items()})


def unpermuted(*notes: str) -> Figures:
    alignment = Alignment(distance_before=[], distance_after=[], largest_output_gap=0.0, unpermuted=list(notes))
    return figures_of({}, alignment=alignment)


def gained(gain: float | None, error: float | None = 0.01) -> Figures:
    rival = None if gain is None else "gaussian null"
    return figures_of({}, gain_over_baselines=Gain(at=1.0, gain=gain, error=error, rival=rival))


def own(**figures: object) -> Figures:
    """Generated networks with these metrics."""
    return figures_of({"generated": set_figures("generated", **figures)})  # pyright: ignore[reportArgumentType]


def theirs(**found: int) -> Figures:
    """Twenty networks of another generator, among which this was found, beside the usual sets."""
    counts = {"read": 20, "not_finite": 0, "own_statistics": 0, "members": 0, "heldout": 0, "repeated": 0} | found
    return figures_of(SETS_DRAWN, generator=OtherGenerator.model_validate(counts), score="accuracy")


def following(*scores: float, heldout_scores: tuple[float, ...] = ()) -> Figures:
    """Generated networks (and held-out members) of these scores, whose nearest members' scores rise steadily."""
    rising = [0.90, 0.91, 0.92, 0.93, 0.94]
    own = {"generated": list(scores), "held-out": list(heldout_scores)}
    points = {name: {"score": values, "nearest_member_score": rising} for name, values in own.items() if values}
    return figures_of({name: set_figures(name, points=values) for name, values in points.items()})


def beside_averages(imported: bool = False, noise_curve: bool = True) -> Figures:
    """Held-out members, and noise at two levels around the generated networks' distance, averaged."""
    curve = EnsembleCurve(sizes=[1], score=[0.9], loss=[0.1])
    noise = {"ensemble_curve": curve} if noise_curve else {}
    sets = {
        "held-out": heldout(ensemble_curve=curve),
        "generated": set_figures("generated", distance=0.5),
        "noise 0.1": set_figures("baseline", distance=0.1, family="noise", **noise),
        "noise 0.4": set_figures("baseline", distance=0.45, family="noise", **noise),
    }
    return figures_of(sets, imported=imported)


def _all_meanings(figures: Figures) -> str:
    return " ".join(entry.meaning for entry in glossary(figures))


GAUSSIAN = set_figures("baseline", 0.97, 1.1, 0.5, family="gaussian")
DIGITS = Figures(dataset=Table(name="digits"), test_examples=450)
SPREAD = {"held-out": heldout(dispersion_by_direction=[0.9, 7.5])}
SETS = {"members": set_figures("members"), "held-out": heldout(), "noise 0.6": set_figures("baseline", family="noise")}
SETS_DRAWN = {**SETS, "generated": generated()}
CLAIMS = {
    "accurate": Claim(
        sentences.verdict, "As accurate as held-out members: yes", judged(generated()), judged(generated(0.94))
    ),
    "new": Claim(sentences.verdict, "New: yes", judged(generated()), judged(generated(distance=0.5))),
    "new though it errs like a member": Claim(
        sentences.verdict, "New: yes", judged(generated()), judged(generated(overlap=0.9))
    ),
    "new beside held-out copies": Claim(
        sentences.verdict,
        "New: yes",
        judged(generated(distance=17.6)),
        judged(generated(distance=17.6), held_out=heldout(0.05)),
    ),
    "copies": Claim(
        sentences.verdict, "copies of members", judged(generated(distance=0.05)), judged(generated(distance=0.3))
    ),
    "copies beside held-out copies": Claim(
        sentences.verdict,
        "copies of members",
        judged(generated(distance=0.05)),
        judged(generated(distance=0.05), held_out=heldout(0.05)),
    ),
    "mistakes decide nothing": Claim(
        sentences.verdict,
        "so that mistakes decide nothing",
        judged(generated(), held_out=heldout(overlap=1.0)),
        judged(generated()),
    ),
    "better than baselines": Claim(
        sentences.verdict,
        "Better than every baseline as far from the members: yes",
        judged(generated(distance=0.8)),
        judged(generated(0.3, 3.0)),  # where no baseline gets
    ),
    "noise is to blame": Claim(
        sentences.verdict,
        "of noise between its levels",
        judged(generated(0.95, 0.3)),
        judged(generated(0.95, 1.1), gaussian=GAUSSIAN),
    ),
    "the Gaussian is to blame": Claim(
        sentences.verdict, "of gaussian at 1.10 τ", judged(generated(), gaussian=GAUSSIAN), judged(generated(0.95, 0.3))
    ),
    "ahead by too little": Claim(
        sentences.verdict,
        "less than two standard errors apart",
        judged(generated(0.9553, 0.3)),
        judged(generated(0.9, 0.3)),
    ),
    "not told by classifiers": Claim(
        sentences.verdict,
        "Not told from held-out members by a classifier: yes",
        judged(generated(**separated(0.4, 0.6))),
        judged(generated(**separated(0.6, 0.8))),
    ),
    "told as members are": Claim(
        sentences.verdict,
        "Members are told from held-out members, too",
        judged(generated(**separated(0.6, 0.8)), members=set_figures("members", 0.96, 1.0, 0.5, **separated(0.6, 0.8))),
        judged(generated(**separated(0.6, 0.8)), members=set_figures("members", 0.96, 1.0, 0.5, **separated(0.4, 0.6))),
    ),
    "better": Claim(sentences.gain, "do better than", gained(0.05), gained(-0.05)),
    "worse": Claim(sentences.gain, "do worse than", gained(-0.05), gained(-0.015)),
    "as far": Claim(sentences.gain, "No baseline gets as far", gained(None, None), gained(0.0)),
    "separated": Claim(
        sentences.separability, "AUC of 0.50 (0.40 to 0.60)", own(**separated(0.4, 0.6)), own(**separated(0.6, 0.8))
    ),
    "a copy has 1": Claim(
        sentences.shared_mistakes,
        "A copy of a member has a max IoU of 1; held-out members have 0.50",
        figures_of({"held-out": heldout(overlap=0.5)}),
        figures_of({"held-out": heldout(overlap=1.0)}),  # they err nowhere, and are no copies
    ),
    "a copy has 1, in the caption": Claim(
        CAPTIONS["mistakes"],
        "A copy of a member has a max IoU of 1",
        figures_of({"held-out": heldout(overlap=0.5)}),
        figures_of({"held-out": heldout(overlap=1.0)}),
    ),
    "ideal dispersion": Claim(
        sentences.heldout_distribution,
        "dispersion 1.000",
        figures_of({"held-out": heldout(dispersion=1.0)}),
        figures_of({"held-out": heldout(dispersion=2.3)}),
    ),
    "spread of held-out members": Claim(
        CAPTIONS["directions"], "have 0.90 to 7.50 here", figures_of(SPREAD), figures_of({"held-out": heldout()})
    ),
    "no repetition": Claim(sentences.repetition, "No generated network", own(duplicates=0), own(duplicates=1)),
    "all measured": Claim(
        sentences.sampled_members,
        "drawn at random",
        figures_of({"members": set_figures("members", networks=5)}, zoo=zoo_size(9, 1)),
        figures_of({"members": set_figures("members", networks=9)}, zoo=zoo_size(9, 1)),
    ),
    "finished": Claim(
        sentences.further_training,
        "Without further training, generated networks are",
        tuned(0.96, 0.96),
        tuned(0.9, 0.96),
    ),
    "unfinished": Claim(
        sentences.further_training, "Generated networks need further training", tuned(0.9, 0.96), tuned(0.9, 0.91)
    ),
    "nearer than held-out members": Claim(
        copying.nearness,
        "lie nearer to members than held-out members do",
        own(data_copying=-8.0),
        own(data_copying=0.4),
    ),
    "farther than held-out members": Claim(
        copying.nearness, "lie farther from members than held-out", own(data_copying=8.0), own(data_copying=-8.0)
    ),
    "as far by chance": Claim(copying.nearness, "it may be chance", own(data_copying=-2.9), own(data_copying=-3.1)),
    "scores follow members'": Claim(
        copying.inheritance,
        "is 1.00 over generated networks",
        following(0.80, 0.81, 0.83, 0.84, 0.89),
        following(0.89, 0.84, 0.83, 0.81, 0.80),
    ),
    "and held-out members' don't": Claim(
        copying.inheritance,
        "and -1.00 over held-out members",
        following(0.8, 0.81, 0.83, 0.84, 0.89, heldout_scores=(0.9, 0.8, 0.7, 0.6, 0.5)),
        following(0.8, 0.81, 0.83, 0.84, 0.89),
    ),
    "scores follow, in the caption": Claim(
        CAPTIONS["nearest_scores"],
        "is 1.00 over generated networks",
        following(0.80, 0.81, 0.83, 0.84, 0.89),
        following(0.9, 0.9, 0.9, 0.9, 0.9),  # of equal scores there is no order
    ),
    "baselines": Claim(
        definitions.baselines,
        "at the same distance",
        figures_of(SETS),
        figures_of({"held-out": heldout()}),
    ),
    "baselines' statistics": Claim(
        definitions.baselines,
        "BatchNorm statistics are measured",
        figures_of(SETS | {"generated": set_figures("generated", with_reference_statistics=summary_around(0.5))}),
        figures_of(SETS),  # networks without BatchNorm
    ),
    "a deep ensemble": Claim(
        definitions.averages, "from seeds of their own", beside_averages(), beside_averages(imported=True)
    ),
    "noise at the same distance": Claim(
        definitions.averages, "noise 0.4 are members", beside_averages(), beside_averages(noise_curve=False)
    ),
    "averages": Claim(sentences.ensembles, "generated networks have 95.00 %", averaged(0.95), averaged(0.90)),
    "bit for bit": Claim(sentences.round_trip, "the members probed are what they were", probed(True), probed(False)),
    "flat": Claim(sentences.concentration, "is 2 times the median", probed(ratio=2.0), probed(ratio=17.2)),
    "nothing left out": Claim(sentences.unpermuted, "names nothing", unpermuted(), unpermuted("aten.sort: no rule")),
    "bar": Claim(definitions.bar, "the 5 % quantile", Figures(bar=0.9), Figures(bar=0.9, bar_quantile=0.5)),
    "tau": Claim(
        definitions.tau, "with units relabelled to fit", Figures(tau=4.24), Figures(tau=4.81, relabelled=False)
    ),
    "nearest other member": Claim(definitions.tau, "nearest other one", Figures(tau=1), Figures(tau=1, group="seed")),
    "compared with all others": Claim(
        _all_meanings, "each compared with the others only", figures_of(SETS), figures_of(SETS, group="seed")
    ),
    "tolerance": Claim(definitions.tolerance, "off by more than 0.2", Figures(tolerance=0.2), Figures(tolerance=0.0)),
    "barrier": Claim(definitions.barrier, "loss barrier", probed(), probed(barrier=None)),
    "overlap of the data": Claim(
        data_used.scored_on, "can't be known", DIGITS.model_copy(update={"imported": True}), DIGITS
    ),
    "inputs": Claim(
        data_used.inputs, "Inputs: as they are", Figures(inputs="as they are"), Figures(inputs="(x - 5) / 6")
    ),
    "no copies": Claim(other_generator.copies, "none is a member", theirs(), theirs(repeated=1)),
    "copies of members, in files": Claim(other_generator.copies, "3 are members", theirs(members=3), theirs()),
    "copies of held-out members": Claim(
        other_generator.copies, "1 is a held-out member", theirs(heldout=1), theirs(members=1)
    ),
    "nobody knows what it saw": Claim(
        other_generator.unknown, "test examples or held-out members among it", theirs(), figures_of(SETS)
    ),
    "statistics of their own": Claim(
        other_generator.statistics, "keep the BatchNorm statistics", theirs(own_statistics=1), theirs()
    ),
    "drawn from the flow": Claim(_all_meanings, "networks drawn from the flow", figures_of(SETS_DRAWN), theirs()),
    "learned from by the flow": Claim(_all_meanings, "that the flow learned from", figures_of(SETS), theirs()),
    "never shown": Claim(_all_meanings, "never shown to the flow", figures_of(SETS), theirs()),
    "trained alike": Claim(
        _all_meanings,
        "trained as the members were",
        figures_of(SETS),
        figures_of(SETS, imported=True),  # nobody knows how
    ),
}


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_what_is_claimed_where_it_is_true_is_not_claimed_where_it_is_false(claim: Claim):
    assert claim.words in claim.says(claim.true)
    assert claim.words not in claim.says(claim.false)


def test_every_sentence_has_its_claims_here():
    said = {claim.says.__name__ for claim in CLAIMS.values()}
    for module in (sentences, copying, definitions, data_used, other_generator):
        own_functions = {name for name, f in getmembers(module, isfunction) if f.__module__ == module.__name__}
        public = {name for name in own_functions if not name.startswith("_")} - SAYS_ELSE - {"speed"}
        assert public <= said


@pytest.mark.parametrize("thumb", ["is a copy", "copies", "is right", "throughout", "is ideal", "indistinguish"])
def test_no_fixed_caption_or_column_has_a_rule_of_thumb(thumb: str):
    """What is right depends on the zoo: such rules stand beside held-out members, in sentences made of figures."""
    fixed = [plot.caption for plot in PLOTS] + [metric.meaning for metric in COLUMNS]
    assert not [text for text in fixed if thumb in text]


def test_every_row_is_explained_once():
    names = {"noise 0.02": "noise", "noise 0.597": "noise", "soup 2": "soup", "gaussian null": "gaussian"}
    sets = {name: set_figures("baseline", family=family) for name, family in names.items()}
    sets |= {name: set_figures("baseline", family=name) for name in ("retrieval", "fresh", "mystery")}
    told = {entry.name: entry.meaning for entry in glossary(figures_of({"members": set_figures("members")} | sets))}
    assert list(told) == ["members", "noise 0.02, ...", "soup 2", "gaussian null", "retrieval", "fresh", "mystery"]
    assert told["noise 0.02, ..."].startswith(
        "random members plus Gaussian noise, whose standard deviation is the number"
    )
    assert "evaluate.noise_levels" in told["noise 0.02, ..."]
    assert told["gaussian null"].startswith("draws from a Gaussian with the members' mean")
    assert all(" Asks " in told[name] for name in told if name not in ("members", "mystery"))
    assert "doesn't know" in told["mystery"]
