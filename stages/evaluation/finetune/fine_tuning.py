"""Fine-tuning on the zoo's own data: what further training adds to generated networks, and to others."""

from functools import partial

from stages.evaluation.figures import FineTuning
from stages.evaluation.finetune.fine_tune_run import Cache, FineTuneRun, Rows, Scores, Starts, score_curve
from stages.params.evaluate import FineTune


def fine_tuning(params: FineTune, starts: Starts, run: FineTuneRun, cache: Cache) -> FineTuning:
    """Test scores of every set at every step; sets that were scored before a kill are not trained again."""
    sets = {name: score_curve(cache(name, partial(_scores, params, rows, run))) for name, rows in starts.items()}
    return FineTuning(steps=list(params.steps), networks=params.networks, sets=sets)


def _scores(params: FineTune, rows: Rows, run: FineTuneRun) -> Scores:
    return run.scores(rows(params.networks), params.steps)
