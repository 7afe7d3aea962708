"""A glossary of the sets of networks: one entry for every colour of the tables and plots, as the report orders them."""

from typing import NamedTuple

from stages.evaluation.baselines import BASELINES
from stages.evaluation.figures import Figures
from stages.reporting.looks import INK, kind, look

MEANINGS = {
    "members": "the networks that the flow learned from, each compared with the others only",
    "held-out": "further networks of the zoo, trained as the members were and never shown to the flow: an ideal "
    "generator can't be told from them",
    "generated": "networks drawn from the flow, without any training; where the best of them were kept "
    "(sample.keep_fraction), so were the best of all baselines but retrieval and fresh",
    **{each.family: f"{each.meaning}. {each.question}".removesuffix(". ") for each in BASELINES},
}
"""By a set's role, or a baseline's family."""
IMPORTED_HELD_OUT = (
    "further networks of the zoo, chosen at random and never shown to the flow: an ideal generator can't be told from "
    "them"
)
OTHER_GENERATOR = {
    "members": "networks of the zoo that generated ones are compared with, each compared with the others only",
    "held-out": "further networks of the zoo, which nothing is compared with: an ideal generator can't be told from "
    "them, whether or not it learned from the members; whether this one has seen them can't be known",
    "generated": "networks that another generator made, in the members' order of units; their BatchNorm statistics are "
    "measured as those of all others, unless sample.batchnorm is own",
}
"""Of networks that weren't drawn from our flow."""
ALONE, GROUPED = "compared with the others only", "compared with those of other training runs only"
UNKNOWN = "a baseline that this version doesn't know"


class Entry(NamedTuple):
    """A kind of set: what its rows are called, its colour on the page, and what its networks are."""

    name: str
    colour: str
    meaning: str


def glossary(figures: Figures) -> list[Entry]:
    """One entry for every kind of set that there is."""
    names: dict[str, list[str]] = {}
    for name, entry in figures.sets.items():
        names.setdefault(kind(entry), []).append(name)
    meanings = MEANINGS | ({"held-out": IMPORTED_HELD_OUT} if figures.imported else {})
    meanings |= OTHER_GENERATOR if figures.generator is not None else {}
    if figures.group is not None:
        meanings["members"] = meanings["members"].replace(ALONE, GROUPED)
    return [
        Entry(
            called[0] if len(called) == 1 else f"{called[0]}, ...",
            look(figures.sets[called[0]]).colour.replace(INK, "currentColor"),
            meanings.get(family, UNKNOWN),
        )
        for family, called in names.items()
    ]
