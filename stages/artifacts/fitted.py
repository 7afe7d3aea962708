"""The trained flow."""

from dataclasses import dataclass
from pathlib import Path

from stages.flow.codes import Codes
from stages.flow.source import Law
from stages.flow.velocity_mlp import VelocityMLP
from stages.store.checkpoints import load_tensors

VELOCITY = "velocity.safetensors"
CODES = "codes.safetensors"
CURVES = "curves.csv"


@dataclass(frozen=True)
class Fitted:
    """A trained flow: its velocity network, the law and spread of its source noise, and its codes (None: raw rows)."""

    velocity: VelocityMLP
    dim: int
    source_law: Law
    source_std: float
    codes: Codes | None


def read_fitted(path: Path) -> Fitted:
    """The flow in a fitted artifact's folder, in evaluation mode."""
    tensors, facts = load_tensors(path / VELOCITY)
    velocity = VelocityMLP(facts["dim"], **facts["velocity"])
    velocity.load_state_dict(tensors)
    return Fitted(velocity.eval(), facts["dim"], facts["source_law"], facts["source_std"], read_codes(path))


def read_codes(path: Path) -> Codes | None:
    """The codes that a flow was trained on, None if it was trained on raw rows."""
    if not (path / CODES).exists():
        return None
    tensors, _ = load_tensors(path / CODES)
    return Codes(tensors["basis"], tensors["scale"])
