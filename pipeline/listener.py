"""Whoever is told how far a run is: the terminal, Prefect's pages, a tracker of experiments."""

from typing import Protocol

from stages.store.refs import Ref


class Listener(Protocol):
    """A receiver of a run's progress, and of every stage that ends."""

    def watch(self, stage: str, share: float, note: str) -> None:
        """Progress: the fraction of the stage that is done, and a note on where it is."""

    def done(self, stage: str, ref: Ref, reused: bool) -> None:
        """A stage's artifact is there."""


class Silent:
    """A listener that shows nothing."""

    def watch(self, stage: str, share: float, note: str) -> None:
        """Show nothing."""

    def done(self, stage: str, ref: Ref, reused: bool) -> None:
        """Show nothing."""
