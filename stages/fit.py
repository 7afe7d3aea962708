"""Stage 4: train the flow that carries noise to networks."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own abbreviation
from torch.optim.swa_utils import AveragedModel

from stages.artifacts.fitted import CURVES, WATCHED, Fitted, save_fitted, velocity_network
from stages.artifacts.members import open_weights
from stages.artifacts.spaces import save_space
from stages.context import Context, torch_threads
from stages.errors import Diverged
from stages.flow.ode import integrate
from stages.flow_training.batches import Batch, Batches, ahead
from stages.flow_training.checkpoint import COLUMNS, State, moving_average, write_table
from stages.flow_training.compute import check_memory, free_memory, precision, threads
from stages.flow_training.data import Points, points_of
from stages.flow_training.monitor import LOOK, Watch, watch_of
from stages.flow_training.optimizer import cosine, optimizers
from stages.flow_training.output_loss import OutputError, output_error_of
from stages.params.fit import FitParams
from stages.seeds import generator, seed_of
from stages.store.refs import Ref

CHECKPOINT = "checkpoint.pt"
PROBES = 256
"""Path points per held-out member in the held-out loss, and networks in the dispersion."""
LOOKS = 10
"""Looks at samples in a whole fit."""


def fit(packed: Ref, params: FitParams, ctx: Context) -> dict[str, Any]:
    """Train on the training members alone; held-out members gate, they never fit.

    Raises Diverged if the loss leaves the finite numbers, UsageError if the flow is to be told what isn't known
    or needs more memory than is free.
    """
    points = points_of(open_weights(packed), params)
    check_memory(points.space, points.dim, params, free_memory(ctx.device))
    save_space(ctx.out, points.space)
    with (
        torch_threads(threads(points.space, points.dim, params, ctx.threads)),
        torch.random.fork_rng([ctx.device] if ctx.device.type == "cuda" else []),
    ):
        trainer = _Trainer(points, params, ctx)
        state = trainer.train()
    state_dict = state.best if params.checkpoint == "heldout" else state.weights()
    source = params.source.law, trainer.source_std, params.coupling
    fitted = Fitted(state.model, points.dim, *source, points.space, points.conditions)
    save_fitted(ctx.out, state_dict, fitted, params.velocity.model_dump())
    trainer.write(state)
    (ctx.out / CHECKPOINT).unlink()
    return state.summary() | {"dim": points.dim, "picked": params.checkpoint}


@dataclass(frozen=True)
class _Trainer:
    """Trains in blocks of `check_every` steps; random numbers depend on the step alone, so that a resumed fit equals an
    undisturbed one.
    """

    points: Points
    params: FitParams
    ctx: Context

    @cached_property
    def source_std(self) -> float:
        """Standard deviation of the source noise."""
        source = self.params.source
        return source.std * (self.points.spread if source.relative else 1.0)

    @cached_property
    def batches(self) -> Batches:
        return Batches(self.points, self.params, self.source_std)

    @cached_property
    def heldout(self) -> Batch:
        """Held-out members, enough of them: the same points on the same paths at every check."""
        return self.batches.heldout(max(1, PROBES // len(self.points.heldout)))

    @cached_property
    def output_error(self) -> OutputError | None:
        return output_error_of(self.points, self.ctx) if self.params.output_loss_weight else None

    @cached_property
    def watch(self) -> Watch | None:
        return watch_of(self.points, self.ctx) if self.params.eval_samples else None

    def train(self) -> State:
        """From the start or the last checkpoint to the last step, or until the held-out loss has stopped falling."""
        state, p = self._fresh(), self.params
        if (self.ctx.out / CHECKPOINT).exists():
            state.load(self.ctx.out / CHECKPOINT, self.ctx.device)
        with _events(self.ctx.out / "events", state.step) as log:
            while state.step < p.steps and not state.stalled(p.patience_checks):
                torch.manual_seed(seed_of(p.seed, "fit", state.step))  # dropout
                loss = self._block(state)
                self._check(state, loss, log)
                state.save(self.ctx.out / CHECKPOINT)
                self.write(state)
        return state

    def write(self, state: State) -> None:
        """What was seen so far, as tables."""
        write_table(self.ctx.out / CURVES, COLUMNS, state.curves)
        if state.watched:
            write_table(self.ctx.out / WATCHED, LOOK, state.watched)

    def _fresh(self) -> State:
        torch.manual_seed(seed_of(self.params.seed, "fit", "initial"))
        points = self.points
        described = self.params.velocity.model_dump()
        model = velocity_network(described, points.dim, self.source_std, points.space, points.conditions)
        model = model.to(self.ctx.device)
        average = AveragedModel(model, multi_avg_fn=moving_average(self.params.ema_decay))
        return State(model, average, optimizers(model, self.params.optimizer))

    def _block(self, state: State) -> float:
        """Train up to the next check. Returns the mean loss."""
        state.model.train()
        start, stop = state.step, min(state.step + self.params.check_every_steps, self.params.steps)
        total, told = torch.zeros((), device=self.ctx.device), time.monotonic()
        for batch in self._drawn(start, stop):
            state.model.zero_grad(set_to_none=True)
            loss = self._loss(state.model, batch, state.step)
            loss.backward()
            for optimizer in state.optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = cosine(state.step, self.params)
                optimizer.step()
            state.average.update_parameters(state.model)
            total += loss.detach()
            state.step += 1
            if time.monotonic() - told > 0.5:
                told = time.monotonic()
                self.ctx.progress(state.step / self.params.steps, _note(state, self.params))
        return float(total) / (stop - start)

    def _drawn(self, start: int, stop: int) -> Iterator[Batch]:
        """The batches of these steps; where drawing one takes long, by a worker thread."""
        if self.points.held is None or self.params.coupling != "independent":
            return ahead(self.batches.draw, start, stop)
        return map(self.batches.draw, range(start, stop))

    @torch.no_grad()
    def _check(self, state: State, loss: float, log: Callable[[str, float, int], None]) -> None:
        """Add a line to the curves, and now and then one about samples; keep the averaged weights if no earlier ones did
        better on held-out members.
        """
        p, network = self.params, state.average.module.eval()
        if not math.isfinite(loss):
            raise Diverged(f"fit: the loss isn't finite before step {state.step}; lower fit.optimizer.lr")
        heldout = float(self._loss(network, self.heldout))
        if all(heldout < row[2] for row in state.curves):
            state.best = state.weights()
        state.curves.append([state.step, loss, heldout, self._dispersion(network)])
        looks = [LOOKS * step // p.steps for step in (state.step - p.check_every_steps, state.step)]
        if self.watch and looks[0] < looks[1]:
            samples = self._samples(network, p.eval_samples, "watch")
            state.watched.append([state.step, *self.watch.look(samples)])
        for columns, rows in ((COLUMNS, state.curves), (LOOK, state.watched)):
            if rows and rows[-1][0] == state.step:
                for name, value in zip(columns[1:], rows[-1][1:], strict=True):
                    log(f"fit/{name}", value, state.step)

    def _dispersion(self, network: nn.Module) -> float:
        """Spread of a few quick samples over the spread of the training members: below 1 the flow is collapsing."""
        samples = self._samples(network, PROBES, "dispersion").cpu()
        spreads = [(x - self.points.centre).square().mean().sqrt() for x in (samples, self.points.probe)]
        return float(spreads[0] / spreads[1])

    def _samples(self, network: nn.Module, count: int, what: str) -> Tensor:
        """The same noise at every check, carried to points in a few steps."""
        x0 = self.batches.source(count, generator(self.params.seed, "fit", what))
        with precision(self.params.precision, self.ctx.device):
            return integrate(network, x0.to(self.ctx.device), "heun", 10)

    def _loss(self, network: Callable[..., Tensor], batch: Batch, step: int | None = None) -> Tensor:
        """Mean squared error of the velocity and, in a training step, of what it does to outputs."""
        path, told = batch.to(self.ctx.device)
        with precision(self.params.precision, self.ctx.device):
            velocity = network(path.x_t, path.t, told)
            loss = F.mse_loss(velocity, path.velocity)
            if step is None or self.output_error is None:
                return loss
            g = generator(self.params.seed, "outputs", step)
            return loss + self.params.output_loss_weight * self.output_error(path, velocity, g)


def _note(state: State, params: FitParams) -> str:
    words = f"step {state.step}/{params.steps}"
    if state.curves:
        _, loss, heldout, dispersion = state.curves[-1]
        words += f", loss {loss:.4f}, held-out {heldout:.4f}, dispersion {dispersion:.2f}"
    if state.watched:
        _, score, _, novelty, both = state.watched[-1]
        words += f", samples {score:.3f} at {novelty:.2f} tau, N&P {both:.2f}"
    return words


@contextmanager
def _events(folder: Path, step: int) -> Iterator[Callable[[str, float, int], None]]:
    """A function that writes one figure as a TensorBoard event."""
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder), purge_step=step or None)
    try:
        yield writer.add_scalar
    finally:
        writer.close()
