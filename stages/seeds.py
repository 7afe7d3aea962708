"""Random generators from the names of what they are for."""

import hashlib
import json

import torch


def seed_of(*parts: int | str) -> int:
    """A 63-bit seed that depends on every part and on nothing else, e.g. `seed_of(0, "order", member, epoch)`."""
    text = json.dumps(parts, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 1


def generator(*parts: int | str) -> torch.Generator:
    """A CPU generator seeded with `seed_of(*parts)`."""
    return torch.Generator().manual_seed(seed_of(*parts))
