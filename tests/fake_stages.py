"""Fakes in the place of all stages' modules: of one small file that says what it was made from."""

import hashlib
import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from stages.store.refs import Ref
from stages.store.sealed import read_sealed

FILE = "content.txt"


def content(stage: str, values: Any, version: int, upstream: Mapping[str, str]) -> str:
    """What a stage writes: its parameters, the version of its code and what it read, as a hash."""
    text = json.dumps([stage, values, version, dict(upstream)], sort_keys=True)
    return f"{stage} {version} {hashlib.sha256(text.encode()).hexdigest()}"


def read(ref: Ref) -> str:
    """An upstream artifact as a stage opens it. Raises Damaged."""
    return read_sealed(ref.path / FILE).decode()


def fake_module(name: str, versions: Mapping[str, int]) -> SimpleNamespace:
    """In the place of `stages.zoo` and the like; `versions` are those of each stage's code."""
    stage = name.removeprefix("stages.")

    def run(params: Any, ctx: Any, **upstream: Ref | None) -> dict[str, Any]:
        texts = {name: read(ref) for name, ref in sorted(upstream.items()) if ref}
        text = content(stage, params.fingerprint(), versions[stage], texts)
        (ctx.out / FILE).write_text(text[:9])
        ctx.progress(0.5, "half")
        (ctx.out / FILE).write_text(text)
        ctx.progress(0.9, "written")
        return {}

    def make_shard(params: Any, unit: Any, ctx: Any) -> bool:
        del params
        ctx.progress(0.1, "shard")
        (ctx.out / f"shard{unit.index}").write_text("some")
        return True

    shards = [SimpleNamespace(index=0), SimpleNamespace(index=1)]
    return SimpleNamespace(**{stage: run}, shards=lambda params: shards, make_shard=make_shard)
