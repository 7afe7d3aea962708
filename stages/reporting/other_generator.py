"""Sentences on networks that another generator made: what was found among them, and what can't be known of them."""

from stages.evaluation.figures import Figures


def copies(figures: Figures) -> str:
    """How many networks are members, held-out members, or earlier ones again."""
    found = figures.generator
    if found is None:
        return ""
    judged = f"Of {found.read - found.not_finite:,} networks of another generator"
    parts = [
        _counted(found.members, "is a member", "are members"),
        _counted(found.heldout, "is a held-out member", "are held-out members"),
        _counted(found.repeated, "repeats an earlier one", "repeat an earlier one"),
    ]
    if not any(parts):
        return f"{judged}, none is a member, a held-out member or an earlier one with its units relabelled."
    return f"{judged}, {' and '.join(filter(None, parts))}, but for the order of units."


def _counted(count: int, one: str, several: str) -> str:
    return f"{count:,} {one if count == 1 else several}" if count else ""


def unknown(figures: Figures) -> str:
    """What these figures can't tell of networks that somebody else made."""
    if figures.generator is None:
        return ""
    seen = "test examples or held-out members" if figures.score else "held-out members"
    return (
        f"What their generator learned from can't be known: {seen} among it would flatter these figures, and new is "
        "what differs from these members, whatever else it learned from."
    )


def statistics(figures: Figures) -> str:
    """Whose BatchNorm statistics the networks have, where they keep those that they came with."""
    if figures.generator is None or not figures.generator.own_statistics:
        return ""
    return (
        "Generated networks keep the BatchNorm statistics that they came with; those of all others are measured on "
        "the same training images."
    )
