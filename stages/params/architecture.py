"""What every description of an architecture has."""

from typing import Any

from stages.params.base import Params


class Architecture(Params):
    """What every description shares: its `kind`, which is also the name of its module in `stages.nets`."""

    kind: Any  # each description's own literal

    def modules(self) -> tuple[str, ...]:
        """The module with this architecture's `build`."""
        return (f"stages.nets.{self.kind}",)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        raise NotImplementedError

    @property
    def tokens(self) -> int | None:
        """Examples are token numbers below this, 0 being padding; None: they are real numbers."""
        return None
