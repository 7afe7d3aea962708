"""Members trained by a user's own function: seeds, shards, retries, and what it may return."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from stages.context import Context
from stages.errors import Diverged, DwfError, LayoutMismatch, UsageError
from stages.params.zoo import ZooParams
from stages.store.weights import Shards
from stages.zoo import make_shard, shards, zoo

Function = Callable[..., Any]


def params(**kwargs: Any) -> ZooParams:
    return ZooParams.model_validate(
        {
            "dataset": {"name": "iris", "train": 30},
            "network": {"kind": "mlp", "widths": [4, 3]},
            "recipe": {"kind": "factory", "train": "own_function:train", "kwargs": kwargs},
            "members": 3,
            "heldout": 2,
            "shard_size": 2,
        }
    )


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Function], None]:
    def register(function: Function) -> None:
        module = ModuleType("own_function")
        module.train = function  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "own_function", module)

    return register


def made(folder: Path, params: ZooParams, order: int = 1) -> torch.Tensor:
    """The rows of all members, made shard by shard."""
    parts = shards(params)
    for shard in parts[::order]:
        make_shard(params, shard, Context(folder))
    return Shards([shard.path(folder) for shard in parts]).rows(0, 5)


def drawing(module: nn.Module, data: Any, seed: int, device: torch.device, scale: float = 1.0) -> dict[str, Any]:
    """Draws from every global generator there is, and spoils what it was given."""
    assert (type(data.train).__name__, type(data.validation).__name__) == ("Train", "Validation")
    assert not hasattr(data, "test")
    assert module.training
    assert 0 <= seed < 2**32
    assert device == torch.device("cpu")
    draws = [torch.rand(3), torch.tensor(np.random.rand(3)), torch.full((3,), np.random.default_rng(seed).random())]
    mean = data.train.inputs.mean()
    data.train.inputs.zero_()
    state = {name: tensor.clone().requires_grad_() for name, tensor in module.state_dict().items()}
    return state | {"1.bias": (scale * sum(draws) + mean).double()}


def test_a_member_depends_on_its_seed_alone(tmp_path: Path, use: Callable[[Function], None]):
    use(drawing)
    first = made(tmp_path / "a", params())
    torch.rand(7)
    np.random.rand(7)
    assert torch.equal(made(tmp_path / "b", params(), order=-1), first)
    assert torch.equal(made(tmp_path / "c", params().model_copy(update={"shard_size": 5})), first)
    assert len({row.numpy().tobytes() for row in first}) == 5
    assert not torch.equal(made(tmp_path / "d", params(scale=2.0)), first)
    assert not torch.equal(made(tmp_path / "e", params().model_copy(update={"seed": 1})), first)


def test_global_generators_stay_as_they_were(tmp_path: Path, use: Callable[[Function], None]):
    use(drawing)
    torch.manual_seed(0)
    np.random.seed(0)
    made(tmp_path, params())
    after = torch.rand(1), np.random.rand()
    torch.manual_seed(0)
    np.random.seed(0)
    assert after == (torch.rand(1), np.random.rand())


def test_a_finished_shard_is_not_trained_again(tmp_path: Path, use: Callable[[Function], None]):
    seen: list[int] = []

    def counting(module: nn.Module, data: Any, seed: int, device: torch.device) -> dict[str, Any]:
        seen.append(seed)
        return module.state_dict()

    use(counting)
    make_shard(params(), shards(params())[0], Context(tmp_path))
    made(tmp_path, params())
    assert len(seen) == len(set(seen)) == 5


def test_one_that_diverges_is_tried_again_from_another_seed(tmp_path: Path, use: Callable[[Function], None]):
    seeds: list[int] = []

    def diverging(module: nn.Module, data: Any, seed: int, device: torch.device) -> dict[str, Any]:
        seeds.append(seed)
        state = module.state_dict()
        return state | {"1.bias": state["1.bias"] * torch.nan} if len(seeds) == 2 else state

    use(diverging)
    made(tmp_path, params())
    attempts = Shards([shard.path(tmp_path) for shard in shards(params())]).facts("attempt")
    assert attempts.tolist() == [0, 1, 0, 0, 0]
    assert len(set(seeds)) == 6


@pytest.mark.parametrize(
    ("returned", "error", "message"),
    [
        (lambda m: m, UsageError, "member-00000: returns a Sequential, expected a state dict"),
        (lambda m: {"1.bias": torch.zeros(3)}, LayoutMismatch, "member-00000: .*1.weight"),
        (lambda m: m.state_dict() | {"more": torch.zeros(1)}, LayoutMismatch, "more"),
        (lambda m: m.state_dict() | {"1.bias": torch.zeros(4)}, LayoutMismatch, "1.bias"),
        (lambda m: m.state_dict() | {"1.bias": torch.zeros(3) / 0}, Diverged, "2 fallback seeds"),
        (lambda m: {name: 1e20 * tensor for name, tensor in m.state_dict().items()}, Diverged, "mend zoo.recipe.train"),
        (lambda m: {name: -0.0 * tensor for name, tensor in m.state_dict().items()}, UsageError, "draw from its seed"),
        (lambda m: m.nothing, DwfError, "member-00000: AttributeError: .*mend it"),
    ],
)
def test_what_it_returns_is_checked(
    tmp_path: Path, use: Callable[[Function], None], returned: Function, error: type[DwfError], message: str
):
    use(lambda module, data, seed, device: returned(module))
    with pytest.raises(error, match=message) as caught:
        make_shard(params(), shards(params())[0], Context(tmp_path))
    assert "\n" not in str(caught.value)


def test_members_of_different_shards_that_are_the_same_network_are_refused(
    tmp_path: Path, use: Callable[[Function], None]
):
    seeds: list[int] = []

    def first_and_third_alike(module: nn.Module, data: Any, seed: int, device: torch.device) -> dict[str, Any]:
        seeds.append(seed)
        alike = len(seeds) in (1, 3)
        return {n: torch.zeros_like(t) if alike else t for n, t in module.state_dict().items()}

    use(first_and_third_alike)
    with pytest.raises(UsageError, match="member-00000 and member-00002 came out of training as the same network"):
        zoo(params(), Context(tmp_path, Path(os.environ.get("DWF_DATA_ROOT", "data/0_raw"))))
