"""Random generators with seeds derived from the purpose and the indices of their draws."""

import hashlib
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

import numpy as np
import torch


def seed_of(*parts: int | str) -> int:
    """A 63-bit seed that depends on every part and on nothing else, e.g. `seed_of(0, "order", member, epoch)`."""
    text = json.dumps(parts, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 1


def generator(*parts: int | str) -> torch.Generator:
    """A CPU generator seeded with `seed_of(*parts)`."""
    return torch.Generator().manual_seed(seed_of(*parts))


_GLOBAL = RLock()


@contextmanager
def global_seed(*parts: int | str) -> Iterator[None]:
    """Seed torch's global generators for a block and restore them afterwards; one block at a time in a process.

    For code that takes no generator, such as dropout and the initialisers of libraries.
    """
    with _GLOBAL, torch.random.fork_rng():
        _seed(seed_of(*parts))
        yield


@contextmanager
def all_seeded(*parts: int | str) -> Iterator[None]:
    """The same with Python's and numpy's global generators, for code of which nothing is known."""
    before = random.getstate(), np.random.get_state()
    with global_seed(*parts):
        random.seed(seed_of(*parts))
        np.random.seed(seed_of(*parts) % 2**32)
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])


def _seed(seed: int) -> None:
    """As `torch.manual_seed`, which also visits every kind of accelerator that isn't there, at a millisecond a call."""
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(seed)
