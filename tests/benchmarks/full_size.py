"""Seconds, peak memory and round-off of full-size networks: canonicalize, pack, PCA codes and back.

    uv run python tests/benchmarks/full_size.py [--members 20] [resnet18] [vit] [bert]

Eight members each unless told otherwise, with random initial weights. Every step runs in its own process, so that its
peak is its own, and reads finished artifacts: of its time, what comparing these with their manifests takes is told.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from stages.artifacts.members import open_weights
from stages.artifacts.pca import FACTS
from stages.canonicalize import canonicalize
from stages.context import Context
from stages.flow.spaces.codes import principal_codes
from stages.nets.initialise import initialise
from stages.nets.registry import build
from stages.pack import pack
from stages.params.canonicalize import CanonicalizeParams
from stages.params.network import Network, network_from
from stages.params.pack import PackParams
from stages.seeds import generator
from stages.store.artifact import publish
from stages.store.files import FORMAT_VERSION
from stages.store.layout import Layout
from stages.store.refs import Ref
from stages.store.sealed import Sealed
from stages.store.weights import write_weights

MEMBERS, HELDOUT = "8", 2
NETWORKS = {
    "resnet18": {"kind": "resnet18", "size": 32, "channels": 3, "classes": 10},
    "vit": {"kind": "vit", "size": 32, "channels": 3, "classes": 10},
    "bert": {"kind": "bert", "vocabulary": 30522, "length": 64, "dim": 768, "depth": 12, "heads": 12, "mlp": 3072},
}
FACTS_OF_NO_RUN = {name: {} for name in ("params", "upstream", "code", "versions", "summary")} | {
    "format_version": FORMAT_VERSION,
    "experiment": "benchmark",
    "created": "",
    "seconds": 0.0,
    "device": "cpu",
    "threads": 1,
    "peak_memory_mb": 0.0,
}
METHODS = {"resnet18": "rebasin", "vit": "transfusion", "bert": "transfusion"}


def zoo(folder: Path, name: str, members: int) -> str:
    """Write the members, one store each."""
    network: Network = network_from(NETWORKS[name])
    layout = Layout.of_module(build(network))
    shards = _context(folder, "zoo").out / "shards"
    shards.mkdir()
    attrs = {"network": network.model_dump(mode="json"), "dataset": None, "score": None}
    for i in range(members):
        row = layout.flatten(initialise(network, "torch", generator("full size", i)))[None]
        split = "train" if i < members - HELDOUT else "held-out"
        known = {
            "seed": np.array([i]),
            "split": np.array([split], object),
            "initialisation": np.array(["torch"], object),
        }
        facts = {fact: np.array([np.nan]) for fact in FACTS} | known
        write_weights(shards / f"{i:04d}.zarr", layout, [f"member-{i}"], row, facts, attrs)
    return f"{layout.parameter_layout.size:,} parameters"


def canonical(folder: Path, name: str, members: int) -> str:
    """Stage 2."""
    del members
    params = CanonicalizeParams.model_validate({"method": METHODS[name], "barrier_members": 0, "probe_examples": 4})
    summary = canonicalize(_ref(folder, "zoo"), params, _context(folder, "canonical"))
    return f"output gap {summary['largest_output_gap']:.1e}, distance {100 * summary['distance_gain']:.1f} % nearer"


def packed(folder: Path, name: str, members: int) -> str:
    """Stage 3."""
    del name, members
    summary = pack(_ref(folder, "zoo"), _ref(folder, "canonical"), PackParams(), _context(folder, "packed"))
    return f"effective rank {summary['effective_rank']:.2f}"


def round_trip(folder: Path, name: str, members: int) -> str:
    """Members to codes on all components and back, against their rows, block by block."""
    del name, members
    store = open_weights(_ref(folder, "packed"))
    fits = torch.from_numpy(store.facts("split") == "train")
    gram, mean = (torch.from_numpy(store.facts(f"pca/{what}")) for what in ("gram", "mean"))
    codes = principal_codes(gram[fits][:, fits], None, whiten=True)
    points = codes.encode(gram[fits][:, fits])
    wrong, largest = 0.0, 0.0
    blocks = ((start, stop, block[fits]) for start, stop, block in store.columns())
    for (start, stop, made), (_, _, block) in zip(codes.decode(points, mean, blocks), store.columns(), strict=True):
        del start, stop
        wrong = max(wrong, float((made - block[fits]).abs().max()))
        largest = max(largest, float(block[fits].abs().max()))
    return f"{codes.components} components, largest error {wrong / largest:.1e} of the largest weight"


STEPS: dict[str, Callable[[Path, str, int], str]] = {
    "zoo": zoo,
    "canonicalize": canonical,
    "pack": packed,
    "codes and back": round_trip,
}


def _ref(folder: Path, name: str) -> Ref:
    return Ref(stage=name, key=name, path=folder / name, digest="")


def _context(folder: Path, name: str) -> Context:
    work = folder / f"{name}.partial"
    work.mkdir()
    return Context(work, threads=torch.get_num_threads())


def step(what: str, folder: Path, name: str, members: int) -> None:
    """Run one step in this process, publish what it made, and print its figures as JSON."""
    comparing = timed(Sealed, "check")
    started = time.monotonic()
    words = STEPS[what](folder, name, members)
    seconds, peak = time.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    figures = {"seconds": seconds, "peak": peak, "words": words, "comparing": sum(comparing)}
    for work in folder.glob("*.partial"):
        publish(work, work.with_suffix(""), FACTS_OF_NO_RUN | {"stage": work.stem, "key": work.stem})
    sys.stdout.write(json.dumps(figures))


def timed(owner: type, method: str) -> list[float]:
    """The seconds of processor time of every call of a method from now on; others may hold the core meanwhile."""
    seconds, plain = list[float](), getattr(owner, method)

    def called(*args: object) -> object:
        started = time.thread_time()
        try:
            return plain(*args)
        finally:
            seconds.append(time.thread_time() - started)

    setattr(owner, method, called)
    return seconds


def main(names: list[str], members: str) -> None:
    """Print a line per network and step."""
    for name in names or list(NETWORKS):
        with tempfile.TemporaryDirectory() as folder:
            for what in STEPS:
                command = [sys.executable, __file__, "--step", what, folder, name, members]
                found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
                share = f"{100 * found['comparing'] / found['seconds']:.1f} % comparing"
                figures = f"{found['seconds']:7.1f} s {found['peak']:6.2f} GiB  {share}"
                sys.stdout.write(f"{name:<9} {what:<15} {figures}  {found['words']}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == ["--step"]:
        step(arguments[1], Path(arguments[2]), arguments[3], int(arguments[4]))
    elif arguments[:1] == ["--members"]:
        main(arguments[2:], arguments[1])
    else:
        main(arguments, MEMBERS)
