"""Parameters of stage 2."""

from typing import Literal

from pydantic import NonNegativeInt, PositiveInt

from stages.params.base import Params


class CanonicalizeParams(Params):
    """Which canonical form the members are brought to."""

    method: Literal["rebasin", "transfusion", "none"] = "rebasin"
    """`transfusion` pairs attention heads by their singular values first; `none` keeps every member's units as they
    were trained, for ablations."""
    reference: Literal["first", "medoid", "mean"] = "first"
    """`medoid` and `mean` start from an alignment to the first member and are taken over the training members."""
    mean_rounds: PositiveInt = 2
    """Rounds of aligning to the running mean, for `reference: mean`; ends early when nothing moves."""
    residual_streams: bool = True
    """Also permute units that residual additions carry through many layers; TransFusion as published doesn't."""
    balance_norms: bool = False
    """Also balance each ReLU unit's incoming and outgoing norms, before matching."""
    max_sweeps: PositiveInt = 100
    probe_examples: PositiveInt = 64
    """Training inputs on which every member's outputs are compared before and after."""
    barrier_members: NonNegativeInt = 4
    """Members whose midpoint with the reference is measured on validation data, before and after. 0: none."""
    seed: NonNegativeInt = 0
