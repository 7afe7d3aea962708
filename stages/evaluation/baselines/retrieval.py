"""The nearest member of every generated network: what a generator that copies would give."""

from collections.abc import Iterator

import torch

from stages.evaluation.baseline import Level, Members, Rows, baseline
from stages.evaluation.inputs import EvaluationInputs


@baseline(order=50)
def retrieval(inputs: EvaluationInputs) -> Iterator[Level]:
    """The member nearest to each generated network, as the rows are: what a generator that copies would give.

    Asks what copying does.
    """
    yield Level("", lambda count, draw: nearest_members(inputs.generated, inputs.members), selected=False)


def nearest_members(rows: Rows, members: Members) -> Rows:
    """For every network the member nearest to it as the rows are."""
    return members[torch.cdist(rows, members).argmin(1)]
