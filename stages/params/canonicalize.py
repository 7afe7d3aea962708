"""Parameters of canonicalize."""

from typing import Literal

from pydantic import NonNegativeInt, PositiveInt

from stages.params.base import Params, Seed


class CanonicalizeParams(Params):
    """Alignment of the members to one reference, up to permutations of units."""

    method: Literal["rebasin", "transfusion", "none"] = "rebasin"
    """Alignment method: `rebasin` is Git Re-Basin's weight matching (arXiv 2209.04836); `transfusion` pairs attention
    heads by their singular values first (arXiv 2505.22697); `none` leaves members as they were trained (the paper's
    Table 5)."""
    reference: Literal["first", "medoid", "mean"] = "first"
    """Network that members are aligned to: the first member, or the medoid or mean of the training members once these
    are aligned to the first."""
    mean_rounds: PositiveInt = 2
    """Rounds of aligning to the mean of the aligned members, for `reference: mean`; ends early once no permutation
    changes."""
    residual_streams: bool = True
    """Permutation of the residual stream too, whose channels residual additions share over many layers; TransFusion as
    published leaves it alone."""
    balance_norms: bool = False
    """Balancing of each ReLU unit's incoming and outgoing norms before matching, which removes its scale symmetry."""
    max_sweeps: PositiveInt = 100
    """Largest number of sweeps over all permutation groups per member; ends early once a sweep improves nothing."""
    probe_examples: PositiveInt = 64
    """Training inputs on which every member's outputs are compared before and after alignment."""
    barrier_members: NonNegativeInt = 4
    """Members whose loss barrier to the reference is measured on validation data, before and after. 0: none."""
    seed: Seed = 0
    """Seed of the random order in which permutation groups are matched."""
