"""The fine-tuning gap: what more training on the zoo's own data is worth to generated networks, and to others."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from stages.evaluation.finetune.run import Course, Keep, Rows, Scores, Starts, spread
from stages.members.task import score_name
from stages.params.finetune import FineTune
from stages.reporting.wording import SCORES, Score


def finetuning(params: FineTune, starts: Starts, course: Course, keep: Keep) -> dict[str, Any]:
    """Test scores of every set at every stop, `{steps, networks, sets: {name: {mean, std}}, text}`.

    Sets that were measured before a kill are not trained again.
    """
    sets = {}
    for name, rows in starts.items():
        work = partial(_scores, params, rows, course)
        sets[name] = spread(keep(name, work))
    text = answer(params.steps, sets, SCORES[score_name(course.test.targets)])
    return {"steps": list(params.steps), "networks": params.networks, "sets": sets, "text": text}


def _scores(params: FineTune, rows: Rows, course: Course) -> Scores:
    return course.scores(rows(params.networks), params.steps)


def answer(steps: tuple[int, ...], sets: Mapping[str, Mapping[str, list[float]]], score: Score) -> str:
    """Whether generated networks need fine-tuning, in one sentence.

    They don't if their mean at the first stop is no more than one standard deviation below the members'.
    """
    generated, members = sets["generated"]["mean"], sets["members"]["mean"]
    bar = members[0] - sets["members"]["std"][0]
    place = f"{score.say(generated[0])} where members have {score.say(members[0])}"
    if generated[0] >= bar:
        return f"The generated networks need no fine-tuning: {place}{_later(steps, generated, members, score)}."
    level = next((i for i, mean in enumerate(generated) if mean >= bar), None)
    if level is None:
        return f"The generated networks need fine-tuning: {place}; {steps[-1]} steps bring them to {score.say(generated[-1])}, still below."
    return f"The generated networks need fine-tuning: {place}; {steps[level]} steps bring them to {score.say(generated[level])}."


def _later(steps: tuple[int, ...], generated: list[float], members: list[float], score: Score) -> str:
    if len(steps) == 1:
        return ""
    return f"; after {steps[-1]} steps of training {score.say(generated[-1])} and {score.say(members[-1])}"
