"""Stage 4: train the flow that carries noise to networks."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own abbreviation
from torch.optim.swa_utils import AveragedModel

from stages.artifacts.fitted import CURVES, SAMPLE_SCORES, Fitted, save_fitted
from stages.artifacts.members import open_weights
from stages.context import Context, torch_threads
from stages.errors import Diverged
from stages.flow.ode import integrate
from stages.flow.spaces.base import save_space
from stages.flow.velocity.base import build_velocity, cost_of
from stages.flow_training.batches import Batch, Batches, prefetched
from stages.flow_training.checkpoint import COLUMNS, TrainState, is_whole, moving_average, write_table
from stages.flow_training.compute import check_memory, free_memory, precision, threads
from stages.flow_training.data import FlowData, flow_data
from stages.flow_training.events import Events, events
from stages.flow_training.monitor import SAMPLE_COLUMNS, Monitor, monitor_of
from stages.flow_training.optimizer import learning_rate, optimizers
from stages.flow_training.output_loss import OutputLoss, output_loss_of
from stages.params.fit import FitParams
from stages.progress import Throttle
from stages.seeds import generator, seed_of
from stages.store.refs import Ref

CHECKPOINT = "checkpoint.pt"
PROBES = 256
"""Path points, at least, in the held-out loss, and networks in the dispersion."""
LOOK = 50
"""Steps after which losses are looked at: each look waits for the device."""
EVALUATIONS = 10
"""Evaluations of samples in a whole fit."""


def fit(packed: Ref, params: FitParams, ctx: Context) -> dict[str, Any]:
    """Train on the training members alone; held-out members pick the checkpoint, they never fit.

    Raises Diverged naming the step if the loss becomes NaN or Inf, UsageError if the flow is to be conditioned on what
    isn't known of every member or needs more memory than is free.
    """
    data = flow_data(open_weights(packed), params)
    cost = cost_of(params.velocity, data.dim, data.space)
    check_memory(cost, params.batch, free_memory(ctx.device))
    save_space(ctx.out, data.space)
    with (
        torch_threads(threads(cost, params.batch, ctx.threads)),
        torch.random.fork_rng([ctx.device] if ctx.device.type == "cuda" else []),
    ):
        trainer = _Trainer(data, params, ctx)
        state = trainer.train()
    state_dict = state.best if params.checkpoint == "heldout" else state.weights()
    source = params.source.law, trainer.source_std, params.coupling
    fitted = Fitted(state.model, data.dim, *source, data.space, data.conditions)
    save_fitted(ctx.out, state_dict, fitted, params.velocity)
    trainer.write(state)
    (ctx.out / CHECKPOINT).unlink()
    return state.summary() | {"dim": data.dim, "picked": params.checkpoint}


@dataclass(frozen=True)
class _Trainer:
    """Trains in blocks of `check_every_steps` steps; random numbers depend on the step alone, so that a resumed fit
    equals an undisturbed one.
    """

    data: FlowData
    params: FitParams
    ctx: Context

    @cached_property
    def source_std(self) -> float:
        """Standard deviation of the source noise."""
        source = self.params.source
        return source.std * (self.data.spread if source.relative else 1.0)

    @cached_property
    def batches(self) -> Batches:
        return Batches(self.data, self.params, self.source_std)

    @cached_property
    def heldout(self) -> Batch:
        """Held-out members, enough of them: the same points on the same paths at every check."""
        return self.batches.heldout(max(1, PROBES // len(self.data.heldout)))

    @cached_property
    def output_loss(self) -> OutputLoss | None:
        return output_loss_of(self.data, self.ctx) if self.params.output_loss_weight else None

    @cached_property
    def monitor(self) -> Monitor | None:
        return monitor_of(self.data, self.ctx) if self.params.eval_samples else None

    def train(self) -> TrainState:
        """From the start or the last checkpoint to the last step, or until the held-out loss has stopped falling."""
        state, p = self._initial(), self.params
        if is_whole(self.ctx.out / CHECKPOINT):
            state.load(self.ctx.out / CHECKPOINT, self.ctx.device)
        with events(self.ctx.out, state.step) as log:
            if not state.step:
                log.parameters(p, COLUMNS)
            while state.step < p.steps and not state.stalled(p.patience_checks):
                torch.manual_seed(seed_of(p.seed, "fit", state.step))  # dropout
                loss = self._block(state)
                self._check(state, loss, log)
                state.save(self.ctx.out / CHECKPOINT)
                self.write(state)
        return state

    def write(self, state: TrainState) -> None:
        """The curves so far, as tables."""
        write_table(self.ctx.out / CURVES, COLUMNS, state.curves)
        if state.samples:
            write_table(self.ctx.out / SAMPLE_SCORES, SAMPLE_COLUMNS, state.samples)

    def _initial(self) -> TrainState:
        torch.manual_seed(seed_of(self.params.seed, "fit", "initial"))
        data, p = self.data, self.params
        model = build_velocity(p.velocity, data.dim, data.space, self.source_std, data.conditions.width)
        model = model.to(self.ctx.device)
        average = AveragedModel(model, multi_avg_fn=moving_average(p.ema_decay))
        return TrainState(model, average, optimizers(model, p.optimizer))

    def _block(self, state: TrainState) -> float:
        """Train up to the next check. Returns the mean loss."""
        state.model.train()
        start, stop = state.step, min(state.step + self.params.check_every_steps, self.params.steps)
        total, throttle, losses = torch.zeros((), device=self.ctx.device), Throttle(0.5), list[Tensor]()
        for batch in self._batches(start, stop):
            state.model.zero_grad(set_to_none=True)
            loss = self._loss(state.model, batch, state.step)
            loss.backward()
            for optimizer in state.optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(state.step, self.params)
                optimizer.step()
            state.average.update_parameters(state.model)
            losses.append(loss.detach())
            total += losses[-1]
            state.step += 1
            if len(losses) == LOOK or state.step == stop:
                self._look(losses, state.step, start)
                losses.clear()
            if throttle.due():
                self.ctx.progress(state.step / self.params.steps, _note(state, self.params))
        return float(total) / (stop - start)

    def _look(self, losses: list[Tensor], step: int, saved: int) -> None:
        """Raise Diverged naming the first of the last steps, up to `step`, whose loss isn't finite."""
        bad = (~torch.isfinite(torch.stack(losses))).nonzero().flatten().tolist()
        if bad:
            what = f"loss, looked at every {LOOK} steps,"
            self._stop(what, float(losses[bad[0]]), step - len(losses) + bad[0] + 1, saved)

    def _stop(self, what: str, value: float, step: int, saved: int) -> NoReturn:
        checkpoint, p = self.ctx.out / CHECKPOINT, self.params
        kept = f"the last checkpoint, of step {saved}, is kept at {checkpoint}" if saved else "no checkpoint before it"
        raise Diverged(
            f"fit: the {what} is {value} at step {step} of {p.steps}; {kept}; lower fit.optimizer.lr, now "
            f"{p.optimizer.lr:g}, or set fit.optimizer.warmup"
        )

    def _batches(self, start: int, stop: int) -> Iterable[Batch]:
        """The batches of these steps; where drawing one takes long, by a worker thread."""
        if self.data.cache is None or self.params.coupling != "independent":
            return prefetched(self.batches.draw, start, stop)
        return map(self.batches.draw, range(start, stop))

    @torch.no_grad()
    def _check(self, state: TrainState, loss: float, log: Events) -> None:
        """Add a row to the curves, and now and then one about samples; keep the averaged weights if no earlier ones did
        better on held-out members.
        """
        p, network = self.params, state.average.module.eval()
        heldout = float(self._loss(network, self.heldout))
        generated = self._samples(network, PROBES, "dispersion").cpu()
        dispersion = self.data.dispersion(generated)
        for name, value in zip(COLUMNS[1:], (loss, heldout, dispersion), strict=True):
            if not math.isfinite(value):
                self._stop(name.replace("_", " "), value, state.step, int(state.curves[-1][0]) if state.curves else 0)
        if all(heldout < row[2] for row in state.curves):
            state.best = state.weights()
        state.curves.append([state.step, loss, heldout, dispersion])
        evaluated, due = (EVALUATIONS * step // p.steps for step in (state.step - p.check_every_steps, state.step))
        if self.monitor and evaluated < due:
            samples = self._samples(network, p.eval_samples, "watch")
            state.samples.append([state.step, *self.monitor.evaluate(samples)])
        if evaluated < due:
            log.points(generated, state.step)
            log.weights(network, state.step)
        for columns, rows in ((COLUMNS, state.curves), (SAMPLE_COLUMNS, state.samples)):
            if rows and rows[-1][0] == state.step:
                log.row(columns, rows[-1])

    def _samples(self, network: nn.Module, count: int, purpose: str) -> Tensor:
        """The same noise at every check, carried to points in a few steps."""
        x0 = self.batches.source(count, generator(self.params.seed, "fit", purpose))
        with precision(self.params.precision, self.ctx.device):
            return integrate(network, x0.to(self.ctx.device), "heun", 10)

    def _loss(self, network: Callable[..., Tensor], batch: Batch, step: int | None = None) -> Tensor:
        """Mean squared error of the velocity and, in a training step, of the velocity of outputs."""
        path, condition = batch.to(self.ctx.device)
        with precision(self.params.precision, self.ctx.device):
            velocity = network(path.x_t, path.t, condition)
            loss = F.mse_loss(velocity, path.velocity)
            if step is None or self.output_loss is None:
                return loss
            g = generator(self.params.seed, "outputs", step)
            return loss + self.params.output_loss_weight * self.output_loss(path, velocity, g)


def _note(state: TrainState, params: FitParams) -> str:
    note = f"step {state.step}/{params.steps}"
    if state.curves:
        _, loss, heldout, dispersion = state.curves[-1]
        note += f", loss {loss:.4f}, held-out {heldout:.4f}, dispersion {dispersion:.2f}"
    if state.samples:
        _, score, _, novelty, both = state.samples[-1]
        note += f", samples {score:.3f} at {novelty:.2f} tau, N&P {both:.2f}"
    return note
