"""Where trials start from: generated networks, members, aligned soups, fresh ones."""

from functools import partial

from stages.evaluation import baselines
from stages.evaluation.finetune.run import Rows, Starts
from stages.evaluation.inputs import Material
from stages.evaluation.sets import fresh
from stages.seeds import generator


def starts(material: Material, soup: int | None = None) -> Starts:
    """The sets that are compared, in the order of the report; soups of so many members if a size is given."""
    soups: dict[str, Rows] = {}
    if soup is not None:
        size, draw = min(soup, len(material.members)), generator(material.params.seed, "finetune soup")
        soups["soup"] = lambda count: baselines.soup(material.members, size, count, draw)
    return {
        "generated": lambda count: material.generated[:count],
        "members": lambda count: material.members[:count],
        **soups,
        "fresh": partial(fresh, material),
    }
