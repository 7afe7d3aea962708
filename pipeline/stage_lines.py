"""A run in the terminal: a line per stage, redrawn where that works and printed now and then elsewhere."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from rich.cells import set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from pipeline.dag import STAGES
from pipeline.stage_progress import StageProgress, State, clock
from stages.store.manifest import read_manifest
from stages.store.refs import Ref

SILENCE_SECONDS = 8.0
"""Most time without a line where there is no terminal to redraw."""
SOON_SECONDS = 1.0
"""What runs for longer than this has a line at once."""
REDRAWS = 8
"""Redraws per second."""
SPINNER, PLAIN_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "|/-\\"
MARKS = {State.DONE: ("✓", "green"), State.REUSED: ("✓", "cyan"), State.STOPPED: ("✗", "red")}
PLAIN_MARKS = {"✓": "+", "✗": "x", "━": "=", "─": "-", "…": "~", "·": "."}
"""What stands for them on terminals without Unicode."""
WIDE, NARROW = 100, 64
"""Columns from which on the rate has a column of its own, and below which there is no bar."""


class StageLines:
    """One line for each of some stages, from before the first has begun.

    `sizes`: what each stage makes, for its rate. `quiet` shows nothing.
    """

    def __init__(
        self,
        console: Console,
        sizes: Mapping[str, tuple[int, str]] | None = None,
        quiet: bool = False,
        stages: Sequence[str] = STAGES,
    ) -> None:
        self.console, self.clock = console, time.monotonic
        self.stages = {stage: StageProgress(stage, (sizes or {}).get(stage)) for stage in stages}
        self.lock = threading.RLock()
        self.waiting_for, self.waiting_since = "", 0.0
        self.redraws = console.is_terminal and not console.is_dumb_terminal and not quiet
        self.prints = not self.redraws and not quiet
        self.live = Live(self, console=console, refresh_per_second=REDRAWS, auto_refresh=True)
        self.last_line, self.announced = self.clock(), set[str]()
        self.over = threading.Event()

    def __enter__(self) -> "StageLines":
        if self.redraws:
            self.live.start(refresh=True)
        elif self.prints:
            threading.Thread(target=self._break_silence, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        with self.lock:
            self.waiting_for = ""
            for stage in self.stages.values():
                if stage.state is State.RUNNING:
                    stage.end(State.STOPPED if kind else State.DONE, stage.note, self.clock())
        self.over.set()
        if self.redraws:
            self.live.stop()

    def wait_for(self, what: str) -> None:
        """Say what keeps the stages waiting, until the first of them moves."""
        with self.lock:
            self.waiting_for, self.waiting_since = what, self.clock()
            if self.prints:
                self._print(what)

    def watch(self, stage: str, share: float, note: str) -> None:
        """Show how far a stage is."""
        with self.lock:
            self.waiting_for = ""
            if self.stages[stage].state in (State.WAITING, State.RUNNING):
                self.stages[stage].move(share, note, self.clock())

    def done(self, stage: str, ref: Ref, reused: bool) -> None:
        """Show that a stage's artifact is there."""
        if reused:
            self.end(stage, f"reused {ref.key}", State.REUSED)
        else:
            self.end(stage, f"done {ref.key}", seconds=read_manifest(ref.path).seconds)

    def end(self, stage: str, words: str, state: State = State.DONE, seconds: float | None = None) -> None:
        """Show that a stage is over and, if it was made by this run, how many seconds it took, unless that is known."""
        with self.lock:
            if self.stages[stage].state in (State.DONE, State.REUSED):
                return
            self.waiting_for = ""
            self.stages[stage].end(state, words, self.clock(), seconds)
            if self.prints:
                self._print(f"{stage:<12} {words}" + (f" in {seconds:.1f} s" if seconds is not None else ""))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with self.lock:
            yield from self.rows(options.max_width, self.clock(), plain=options.ascii_only)

    def rows(self, width: int, now: float, plain: bool = False) -> Iterator[Text]:
        """A line of at most `width` cells per stage, then one on what they wait for; `plain` ones are ASCII."""
        for stage in self.stages.values():
            yield row(stage, width, now, plain)
        if self.waiting_for:
            words = f"{spinner(now, plain)} {self.waiting_for}  {clock(now - self.waiting_since)}"
            yield Text(cut(words, width, plain), style="yellow", no_wrap=True)

    def _break_silence(self) -> None:
        while not self.over.wait(SOON_SECONDS / 4):
            with self.lock:
                self._speak_up()

    def _speak_up(self) -> None:
        """Print a line about what runs if it is new, or if nothing was said for long."""
        now = self.clock()
        running = [stage for stage in self.stages.values() if stage.state is State.RUNNING]
        due = now - self.last_line >= SILENCE_SECONDS
        for stage in running:
            new = stage.stage not in self.announced and (stage.elapsed(now) or 0) >= SOON_SECONDS
            if due or new:
                self.announced.add(stage.stage)
                self._print(plain_line(stage, now))
        if due and not running:
            self._print(f"{self.waiting_for or 'still at work'}  {clock(now - self.waiting_since)}")

    def _print(self, line: str) -> None:
        self.last_line = self.clock()
        self.console.print(line, markup=False, soft_wrap=True)


def row(stage: StageProgress, width: int, now: float, plain: bool = False) -> Text:
    """One stage in columns that stand in the same places whatever it says, cut to `width` cells."""
    mark, style = _mark(stage, now, plain)
    note = stage.note if stage.state is not State.WAITING else ""
    left = stage.left(now)
    cells: list[tuple[str, int, Callable[..., str], str]] = [
        (mark, 1, str.ljust, style),
        (stage.stage, 12, str.ljust, "dim" if stage.state is State.WAITING else "bold"),
    ]
    if width >= NARROW:
        cells.append((_bar(stage.share, 16 if width >= WIDE else 8), 16 if width >= WIDE else 8, str.ljust, style))
    share = "" if stage.state is State.WAITING else f"{stage.share:.0%}"
    cells += [(share, 4, str.rjust, ""), (clock(stage.elapsed(now)), 7, str.rjust, "")]
    if width >= NARROW:
        cells.append((f"{clock(left)} left" if left is not None else "", 12, str.rjust, "dim"))
    rate = stage.rate()
    if width >= WIDE:
        cells.append((rate, 16, str.rjust, ""))
    elif rate:
        note = f"{rate}  {note}"
    line = Text(no_wrap=True, end="\n", overflow="crop")
    for text, cell_width, justify, cell_style in cells:
        line.append(set_cell_size(justify(text, cell_width), cell_width), cell_style)
        line.append(" ")
    room = max(0, width - line.cell_len - 1)
    line.append(" " * min(1, room) + cut(note, room, plain))
    line.truncate(width)
    return Text(_ascii(line.plain), no_wrap=True, spans=line.spans) if plain else line


def _mark(stage: StageProgress, now: float, plain: bool) -> tuple[str, str]:
    if stage.state is State.WAITING:
        return "·", "dim"
    return MARKS.get(stage.state, (spinner(now, plain), "yellow"))


def _bar(share: float, width: int) -> str:
    filled = round(share * width)
    return "━" * filled + "─" * (width - filled)


def spinner(now: float, plain: bool) -> str:
    """The picture of this moment."""
    frames = PLAIN_SPINNER if plain else SPINNER
    return frames[int(now * REDRAWS) % len(frames)]


def cut(text: str, width: int, plain: bool = False) -> str:
    """One line of at most `width` cells, which ends in an ellipsis if something is missing."""
    line = Text(" ".join(text.split()))
    line.truncate(max(0, width), overflow="ellipsis" if width > 1 else "crop")
    return _ascii(line.plain) if plain else line.plain


def _ascii(text: str) -> str:
    """The same number of characters without Unicode."""
    return "".join(c if c.isascii() else PLAIN_MARKS.get(c, "?") for c in text)


def plain_line(stage: StageProgress, now: float) -> str:
    """The same for a log: no bar, no columns to keep to at its end."""
    left = stage.left(now)
    parts = [clock(stage.elapsed(now)), f"{clock(left)} left" if left is not None else "", stage.rate(), stage.note]
    return f"{stage.stage:<12} {stage.share:>4.0%}  {'  '.join(part for part in parts if part)}"
