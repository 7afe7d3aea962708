"""Generate neural networks: run the dag, draw networks from its flow, judge them, and align anybody's.

    import dwf
    run = dwf.run("conf/iris_mlp.yaml")  # or dwf.open("data/7_report/<key>"), or dwf.open("<key>")
    networks = run.sample(16, seed=1)
    print(run.evaluate(networks))

What is named here is loaded when it is first used: `import dwf` takes no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.config import Experiment
    from pipeline.library.align import align
    from pipeline.library.evaluation import Evaluation
    from pipeline.library.experiment import experiment
    from pipeline.library.network import Network
    from pipeline.library.networks import Networks
    from pipeline.library.run import Run
    from pipeline.library.runs import open_run as open  # noqa: A004 - as Image.open, gzip.open and zarr.open are
    from pipeline.library.runs import run
    from pipeline.library.symmetry import NetworkSymmetry, Proof, symmetry
    from stages.errors import DwfError, UsageError
    from stages.evaluation.figures import Figures

__all__ = [
    "DwfError",
    "Evaluation",
    "Experiment",
    "Figures",
    "Network",
    "NetworkSymmetry",
    "Networks",
    "Proof",
    "Run",
    "UsageError",
    "align",
    "experiment",
    "open",
    "run",
    "symmetry",
]
_PLACES = {
    "DwfError": "stages.errors",
    "Evaluation": "pipeline.library.evaluation",
    "Experiment": "pipeline.config",
    "Figures": "stages.evaluation.figures",
    "Network": "pipeline.library.network",
    "NetworkSymmetry": "pipeline.library.symmetry",
    "Networks": "pipeline.library.networks",
    "Proof": "pipeline.library.symmetry",
    "Run": "pipeline.library.run",
    "UsageError": "stages.errors",
    "align": "pipeline.library.align",
    "experiment": "pipeline.library.experiment",
    "open": "pipeline.library.runs:open_run",
    "run": "pipeline.library.runs",
    "symmetry": "pipeline.library.symmetry",
}
"""Name -> the module that it is in, with its name there where that is another one."""


def __getattr__(name: str) -> Any:
    """What `__all__` names, imported now."""
    if name not in _PLACES:
        raise AttributeError(f"module 'dwf' has no attribute {name!r}; it has {', '.join(__all__)}")
    module, _, there = _PLACES[name].partition(":")
    value = globals()[name] = getattr(import_module(module), there or name)
    return value


def __dir__() -> list[str]:
    return [*globals(), *(name for name in __all__ if name not in globals())]
