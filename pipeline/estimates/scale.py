"""The scale of an experiment: its numbers of networks, the size of each, of its data, and of its flow."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pipeline.config import Experiment
from pipeline.estimates.network_size import NetworkSize, network_size
from pipeline.runner import Planned
from stages.errors import DwfError
from stages.params.checkpoint_files import CheckpointFiles
from stages.params.dataset import Images, Table, Texts
from stages.params.fit import FitParams, NeuronTokens, Pca, TokenVelocity
from stages.params.sample import SampleParams
from stages.params.zoo import ZooParams
from stages.store.manifest import read_manifest

EXAMPLES = {
    "iris": (105, 45),
    "digits": (1437, 360),
    "mnist": (60_000, 10_000),
    "fashion_mnist": (60_000, 10_000),
    "cifar10": (50_000, 10_000),
    "cifar100": (50_000, 10_000),
    "stl10": (5_000, 8_000),
    "svhn": (73_257, 26_032),
    "reviews": (10_000, 2_000),
    "yelp": (650_000, 50_000),
}
"""Training and test examples of built-in data sets, about."""
OWN_EXAMPLES = (10_000, 2_000)
"""What is taken for those of one's own data, which only reading them would tell."""

LARGEST = 10**40
"""What larger numbers count as, so that products stay within floats."""


@dataclass(frozen=True)
class Scale:
    """The sizes that decide what an experiment needs; `guessed` if the network's size isn't known for certain."""

    experiment: Experiment
    members: int
    heldout: int
    network: NetworkSize
    guessed: bool = False

    @property
    def packed(self) -> int:
        """Networks in the zoo, held-out ones too."""
        return self.members + self.heldout

    @cached_property
    def examples(self) -> tuple[int, int]:
        """Training and test examples; none where there are no data."""
        datasets = list(self.experiment.zoo.datasets.values())
        if not datasets:
            return 0, 0
        known = isinstance(datasets[0], Table | Images | Texts)
        usual = EXAMPLES[datasets[0].name] if known else OWN_EXAMPLES
        train, test = (count or some for count, some in zip(datasets[0].counts, usual, strict=True))
        return train, test

    @cached_property
    def features(self) -> int:
        """Values of one example."""
        return math.prod(self.experiment.zoo.network.shape)

    @property
    def fit(self) -> FitParams:
        """The flow's parameters, of an experiment that fits one."""
        assert self.experiment.fit is not None
        return self.experiment.fit

    @property
    def generated(self) -> int:
        """Networks that are sampled; another generator's are as many as files say, which are few."""
        sample = self.experiment.sample
        return min(sample.networks, LARGEST) if isinstance(sample, SampleParams) else 0

    @property
    def baselines(self) -> int:
        """Sets of baselines that evaluate makes, about: one level more of noise and interpolation, and three others."""
        params = self.experiment.evaluate
        return len(params.noise_levels) + len(params.interpolation_fractions) + len(params.soup_sizes) + 5

    @cached_property
    def dim(self) -> int:
        """Coordinates of a point of the flow's space."""
        space, most = self.fit.space, min(self.members - 1, self.network.parameters)
        return min(space.components or most, most) if isinstance(space, Pca) else self.network.parameters

    @cached_property
    def velocity(self) -> NetworkSize:
        """The size of the velocity network, about; its activations are those that a training step keeps."""
        velocity, dim, units, pairs = self.fit.velocity, self.dim, self.network.units, self.network.pairs
        if isinstance(velocity, TokenVelocity):
            assert isinstance(self.fit.space, NeuronTokens)
            w, p = velocity.width, velocity.pair_width
            ends = 2 * (dim * w // max(1, units))
            weights = velocity.depth * (18 * w**2 + 3 * p**2 + 4 * w * p) + ends
            products = velocity.depth * (12 * units * w**2 + 2 * pairs * p**2)
            return NetworkSize(weights, 0, products, velocity.depth * (17 * units * w + 6 * pairs * p) + 4 * dim)
        h = velocity.hidden
        weights = (dim + velocity.time_dim) * h + h**2 + dim * (h + 1)
        return NetworkSize(weights, 0, weights, 10 * h)


def scale_of(experiment: Experiment, planned: Sequence[Planned]) -> Scale | None:
    """The experiment's scale, by its zoo's manifest if that is there; None if nothing says how large networks are."""
    zoo, size = experiment.zoo, network_size(experiment.zoo.network)
    if found := _recorded(planned):
        networks, parameters = found["networks"], found["parameters"]
        return Scale(experiment, networks - zoo.heldout, zoo.heldout, size or NetworkSize(parameters))
    if isinstance(zoo, ZooParams):
        members, heldout = (min(count, LARGEST) for count in (zoo.members, zoo.heldout))
        return Scale(experiment, members, heldout, size) if size else None
    if not isinstance(zoo, CheckpointFiles):
        return Scale(experiment, zoo.members, zoo.heldout, size, guessed=True) if size and zoo.members else None
    files = zoo.paths().values()  # of one network each, most of them
    members = zoo.members or max(2, len(files) - zoo.heldout)
    largest = max((path.stat().st_size for path in files if path.is_file()), default=0)
    size = size or (NetworkSize(largest // 4) if largest else None)
    return Scale(experiment, members, zoo.heldout, size, guessed=True) if size else None


def _recorded(planned: Sequence[Planned]) -> dict[str, Any] | None:
    """What the zoo's manifest sums up, if the zoo is there."""
    if (ref := planned[0].ref) is None:
        return None
    try:
        summary = read_manifest(ref.path).summary
    except DwfError:  # the stage that needs it will say so
        return None
    return summary if {"networks", "parameters"} <= summary.keys() else None
