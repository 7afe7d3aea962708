"""Points between pairs of aligned members."""

from collections.abc import Iterator
from functools import partial

import torch

from stages.evaluation.baseline import Level, Members, Rows, baseline, choose_several, with_matched_level
from stages.evaluation.inputs import EvaluationInputs


@baseline(order=20, any_strength=True)
def interpolation(inputs: EvaluationInputs) -> Iterator[Level]:
    """Points between random pairs of members in canonical form, at the number's fraction of the way; a number beside
    `evaluate.interpolation_fractions` makes it about as long as the generated networks' median distance, if it can.

    Asks whether moving from one member towards another does as well.
    """
    pair = (2 * torch.from_numpy(inputs.packed.facts("pca/variance")).sum()).sqrt()  # root mean square distance
    matched = min(0.5, float(inputs.nearest.distance.median() / pair))
    for fraction in with_matched_level(inputs.params.interpolation_fractions, matched):
        yield Level(f"{fraction:g}", partial(interpolated, inputs.members, fraction))


def interpolated(members: Members, fraction: float, count: int, draw: torch.Generator) -> Rows:
    """Points between random pairs of aligned members, `fraction` of the way to the second."""
    pairs = torch.stack([choose_several(len(members), 2, draw) for _ in range(count)])
    return torch.lerp(members[pairs[:, 0]], members[pairs[:, 1]], fraction)
