"""Stage 4: train the flow that carries noise to networks."""

import csv
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own abbreviation
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from stages.artifacts.fitted import CURVES, VELOCITY, velocity_network
from stages.artifacts.members import is_train, open_weights
from stages.artifacts.spaces import Space, enter, save_space
from stages.context import Context, torch_threads
from stages.errors import Diverged
from stages.flow.coupling import match_tokens
from stages.flow.ode import integrate
from stages.flow.path import PathSample, linear_path
from stages.flow.source import noise
from stages.flow.tokens import Tokens
from stages.params.fit import Beta, FitParams, TokenVelocity, Velocity
from stages.seeds import seed_of
from stages.store.checkpoints import save_tensors
from stages.store.refs import Ref
from stages.store.weights import Weights

CHECKPOINT = "checkpoint.pt"
PROBES = 256
"""Path points per held-out member in the held-out loss, and networks in the dispersion."""
SMALL_STEP = 1e9
"""Floating-point operations of a training step below which one CPU thread does it."""
COLUMNS = ("step", "loss", "heldout_loss", "dispersion")


def fit(packed: Ref, params: FitParams, ctx: Context) -> dict[str, Any]:
    """Train on the training members alone; held-out members gate, they never fit.

    Raises Diverged if the loss leaves the finite numbers.
    """
    data = _data(open_weights(packed), params)
    save_space(ctx.out, data.space)
    with (
        torch_threads(_threads(data, params, ctx.threads)),
        _precision(params, ctx.device),
        torch.random.fork_rng(_cuda(ctx.device)),
    ):
        trained = _train(data.to(ctx.device), params, ctx)
    _write_curves(ctx.out / CURVES, trained.curves)
    facts = {"dim": data.dim, "source_std": data.source_std, "velocity": params.velocity.model_dump()}
    facts |= {"source_law": params.source.law}
    save_tensors(ctx.out / VELOCITY, trained.picked(params), facts)
    (ctx.out / CHECKPOINT).unlink()
    return trained.summary() | {"dim": data.dim, "picked": params.pick}


@dataclass(frozen=True)
class _Data:
    """Members as the flow sees them, [members, dim], the source's standard deviation, and what points mean."""

    train: Tensor
    heldout: Tensor
    source_std: float
    space: Space

    @property
    def dim(self) -> int:
        return self.train.shape[1]

    @property
    def device(self) -> torch.device:
        return self.train.device

    @property
    def centre(self) -> Tensor:
        """What spread is measured around: the mean, but of tokens, which come in any order, that of all alike: zero."""
        mean = self.train.mean(0)
        return torch.zeros_like(mean) if isinstance(self.space, Tokens) else mean

    def to(self, device: torch.device) -> "_Data":
        return _Data(self.train.to(device), self.heldout.to(device), self.source_std, self.space)


def _data(packed: Weights, params: FitParams) -> _Data:
    fits = is_train(packed)
    points, space = enter(packed, params.space)
    spread = (points[fits] - points[fits].mean(0)).square().mean().sqrt()
    std = params.source.std * (float(spread) if params.source.relative else 1.0)
    return _Data(points[fits], points[~fits], std, space)


def _threads(data: _Data, params: FitParams, available: int) -> int:
    """One thread while a step is small: a second loses more by waiting than it gains, most of all on a busy machine."""
    return available if 6 * params.batch * _products(data, params.velocity) > SMALL_STEP else 1


def _products(data: _Data, velocity: Velocity | TokenVelocity) -> int:
    """Multiplications of one example's forward pass, about."""
    if isinstance(velocity, Velocity):
        return 2 * data.dim * velocity.hidden + velocity.hidden**2
    assert isinstance(data.space, Tokens)
    tokens = sum(count for count, _ in data.space.shapes)
    return 2 * data.dim * velocity.width + 12 * tokens * velocity.depth * velocity.width**2


def _cuda(device: torch.device) -> list[torch.device]:
    return [device] if device.type == "cuda" else []


@contextmanager
def _precision(params: FitParams, device: torch.device) -> Iterator[None]:
    """TF32 or bf16 products on CUDA, restored afterwards."""
    if device.type != "cuda" or params.precision == "fp32":
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        with torch.autocast("cuda", torch.bfloat16, enabled=params.precision == "bf16"):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


@dataclass
class _Trained:
    """Everything that a checkpoint holds."""

    model: nn.Module
    average: AveragedModel
    optimizer: torch.optim.AdamW
    step: int = 0
    curves: list[list[float]] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        state = {
            "model": self.model.state_dict(), "average": self.average.state_dict(), "step": self.step,
            "optimizer": self.optimizer.state_dict(), "curves": self.curves, "best": self.best,
        }  # fmt: skip
        torch.save(state, path.with_suffix(".tmp"))
        os.replace(path.with_suffix(".tmp"), path)

    def load(self, path: Path, device: torch.device) -> None:
        state = torch.load(path, map_location=device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.curves, self.best = state["step"], state["curves"], state["best"]

    def weights(self) -> dict[str, Tensor]:
        """The averaged weights."""
        return {name: tensor.clone() for name, tensor in self.average.module.state_dict().items()}

    def picked(self, params: FitParams) -> dict[str, Tensor]:
        return self.best if params.pick == "heldout" else self.weights()

    def summary(self) -> dict[str, float]:
        heldout = [row[2] for row in self.curves]
        lowest = min(range(len(heldout)), key=heldout.__getitem__)
        last = dict(zip(COLUMNS, self.curves[-1], strict=True))
        return {**last, "lowest_heldout_loss": heldout[lowest], "lowest_heldout_step": self.curves[lowest][0]}


def _train(data: _Data, params: FitParams, ctx: Context) -> _Trained:
    """Blocks of `check_every` steps, each with random numbers of its own, so that a resumed fit equals an undisturbed one."""
    torch.manual_seed(seed_of(params.seed, "fit", "initial"))
    state = _fresh(data, params)
    if (ctx.out / CHECKPOINT).exists():
        state.load(ctx.out / CHECKPOINT, data.device)
    with _events(ctx.out / "events", state.step) as log:
        while state.step < params.steps:
            torch.manual_seed(seed_of(params.seed, "fit", state.step))
            loss = _block(state, data, params, ctx)
            _check(state, loss, data, params)
            log(state.curves[-1])
            state.save(ctx.out / CHECKPOINT)
            _write_curves(ctx.out / CURVES, state.curves)
    return state


def _fresh(data: _Data, params: FitParams) -> _Trained:
    model = velocity_network(params.velocity.model_dump(), data.dim, data.space).to(data.device)
    o = params.optimizer
    optimizer = torch.optim.AdamW(model.parameters(), o.lr, o.betas, weight_decay=o.weight_decay, fused=True)
    return _Trained(model, AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(params.ema)), optimizer)


def _block(state: _Trained, data: _Data, params: FitParams, ctx: Context) -> float:
    """Train up to the next check. Returns the mean loss."""
    state.model.train()
    stop = min(state.step + params.check_every, params.steps)
    count, total, told = stop - state.step, torch.zeros((), device=data.device), time.monotonic()
    while state.step < stop:
        for group in state.optimizer.param_groups:
            group["lr"] = _cosine(state.step, params)
        point = _draw(data, params)
        loss = F.mse_loss(state.model(point.x_t, point.t), point.velocity)
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        state.optimizer.step()
        state.average.update_parameters(state.model)
        total += loss.detach()
        state.step += 1
        if time.monotonic() - told > 0.5:
            told = time.monotonic()
            ctx.progress(state.step / params.steps, _note(state, params))
    return float(total) / count


def _note(state: _Trained, params: FitParams) -> str:
    words = f"step {state.step}/{params.steps}"
    if state.curves:
        _, loss, heldout, dispersion = state.curves[-1]
        words += f", loss {loss:.4f}, held-out {heldout:.4f}, dispersion {dispersion:.2f}"
    return words


def _cosine(step: int, params: FitParams) -> float:
    """The learning rate of a step."""
    o = params.optimizer
    return o.final_lr + (o.lr - o.final_lr) * (1 + math.cos(math.pi * step / params.steps)) / 2


def _draw(data: _Data, params: FitParams) -> PathSample:
    """A batch: random training members, each with fresh source noise and its own time."""
    x1 = data.train[torch.randint(len(data.train), (params.batch,), device=data.device)]
    x0 = _coupled(_source(data, params, len(x1)), x1, data, params)
    beside = torch.randn_like(x1) * params.path_noise if params.path_noise else None
    return linear_path(x0, x1, _times(params, len(x1), data.device), beside)


def _coupled(x0: Tensor, x1: Tensor, data: _Data, params: FitParams) -> Tensor:
    """The noise as it goes with these members."""
    if params.coupling == "independent":
        return x0
    assert isinstance(data.space, Tokens)
    return match_tokens(x0, x1, data.space.shapes)


def _source(data: _Data, params: FitParams, count: int) -> Tensor:
    """Noise at t = 0, [count, dim]."""
    return noise(params.source.law, count, data.dim, device=data.device) * data.source_std


def _times(params: FitParams, count: int, device: torch.device) -> Tensor:
    if isinstance(params.time, Beta):
        law = torch.distributions.Beta(params.time.alpha, params.time.beta)
        return law.sample((count,)).to(device)
    return torch.rand(count, device=device)


@torch.no_grad()
def _check(state: _Trained, loss: float, data: _Data, params: FitParams) -> None:
    """Add a line to the curves; keep the averaged weights if no earlier ones did better on held-out members."""
    if not math.isfinite(loss):
        raise Diverged(f"fit: the loss isn't finite before step {state.step}; lower fit.optimizer.lr")
    network = state.average.module.eval()
    heldout = _heldout_loss(network, data, params)
    if all(heldout < row[2] for row in state.curves):
        state.best = state.weights()
    state.curves.append([state.step, loss, heldout, _dispersion(network, data, params)])


def _heldout_loss(network: torch.nn.Module, data: _Data, params: FitParams) -> float:
    """The training loss on held-out members, at the same times and with the same noise at every check."""
    torch.manual_seed(seed_of(params.seed, "fit", "held-out"))
    repeats = max(1, PROBES // len(data.heldout))
    x1 = data.heldout.repeat(repeats, 1)
    x0 = _coupled(_source(data, params, len(x1)), x1, data, params)
    point = linear_path(x0, x1, _times(params, len(x1), data.device))
    return float(F.mse_loss(network(point.x_t, point.t), point.velocity))


def _dispersion(network: torch.nn.Module, data: _Data, params: FitParams) -> float:
    """Spread of a few quick samples over the spread of the training members: below 1 the flow is collapsing."""
    torch.manual_seed(seed_of(params.seed, "fit", "dispersion"))
    x0 = _source(data, params, PROBES)
    spreads = [(x - data.centre).square().mean().sqrt() for x in (integrate(network, x0, "heun", 10), data.train)]
    return float(spreads[0] / spreads[1])


@contextmanager
def _events(folder: Path, step: int) -> Iterator[Any]:
    """A function that writes one line of the curves as TensorBoard events."""
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder), purge_step=step or None)

    def log(row: list[float]) -> None:
        for name, value in zip(COLUMNS[1:], row[1:], strict=True):
            writer.add_scalar(f"fit/{name}", value, int(row[0]))
        writer.flush()

    try:
        yield log
    finally:
        writer.close()


def _write_curves(path: Path, curves: list[list[float]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *curves])
