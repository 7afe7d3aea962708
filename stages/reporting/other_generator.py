"""Sentences on networks that another generator made: what was found among them, and what can't be known of them."""

from stages.evaluation.figures import Figures


def copies(figures: Figures) -> str:
    """How many networks are members, held-out members, or earlier ones again."""
    found = figures.generator
    if found is None:
        return ""
    counts = {
        "a member": found.members,
        "a held-out member": found.heldout,
        "an earlier one of them": found.repeated,
    }
    judged = f"Of {found.read - found.not_finite:,} networks of another generator"
    if not any(counts.values()):
        return f"{judged} none is, with its units relabelled, {', '.join([*counts][:2])} or {[*counts][2]}."
    parts = [f"{count:,} {'is' if count == 1 else 'are'} {what}" for what, count in counts.items() if count]
    return f"{judged}, with their units relabelled, {' and '.join(parts)}."


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
