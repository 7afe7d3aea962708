"""The one table of how sets of networks look: label, colour and marker of each kind, in every plot and table."""

from dataclasses import dataclass

from stages.evaluation.figures import SetFigures

INK = "#010203"
"""Stands for the page's text colour while drawing; the SVG then says currentColor. No set has it."""
BLUE, SKY, GREEN, ORANGE, VERMILLION, PURPLE = "#0072b2", "#56b4e9", "#009e73", "#e69f00", "#d55e00", "#cc79a7"
OLIVE, BROWN, GREY = "#999933", "#a0622d", "#8a8f94"
OPEN = "none"
"""Fill of a marker that is the second of a pair; the first one is filled."""


@dataclass(frozen=True)
class Look:
    """The label, colour and marker of a kind of set."""

    label: str
    colour: str
    marker: str


MEMBERS = Look("members", BLUE, "o")
HELD_OUT = Look("held-out", SKY, "D")
GENERATED = Look("generated", VERMILLION, "^")
LOOKS = {
    "members": MEMBERS,
    "held-out": HELD_OUT,
    "generated": GENERATED,
    "noise": Look("noise", GREEN, "v"),
    "interpolation": Look("interpolation", ORANGE, "s"),
    "soup": Look("soup", PURPLE, "P"),
    "gaussian": Look("Gaussian", OLIVE, "X"),
    "retrieval": Look("retrieval", GREY, "h"),
    "fresh": Look("fresh", BROWN, "*"),
}
"""By a baseline's family, or a set's role. What is known of these networks alone has their colour, too."""


def kind(entry: SetFigures) -> str:
    """A baseline's family, else the set's role."""
    return entry.family or entry.role


def look(entry: SetFigures) -> Look:
    """How a set is drawn; families without a look of their own are of the page's text colour."""
    return LOOKS.get(kind(entry), Look(kind(entry), INK, "."))
