"""Spaces and velocity networks are found by name, so a fit depends on its own and on no others."""

import pytest

from pipeline.keys import sources
from stages.params.fit import FitParams

MLP = {"kind": "mlp", "hidden": 8}
OF_KINDS = {
    "raw": ({"kind": "raw"}, MLP),
    "pca": ({"kind": "pca"}, MLP),
    "tokens": ({"kind": "tokens"}, {"kind": "tokens"}),
    "tokens under an MLP": ({"kind": "tokens"}, MLP),
}
FILES = {f"stages/flow/{name}.py" for name in ("spaces/raw", "spaces/pca", "spaces/tokens", "velocity/mlp")}
FILES |= {"stages/flow/velocity/tokens.py"}


@pytest.mark.parametrize("name", OF_KINDS)
def test_the_sources_of_a_fit_are_those_of_its_space_and_velocity_network(name: str):
    space, velocity = OF_KINDS[name]
    params = FitParams.model_validate({"space": space, "velocity": velocity, "steps": 1, "batch": 1})
    expected = {f"stages/flow/spaces/{space['kind']}.py", f"stages/flow/velocity/{velocity['kind']}.py"}
    assert FILES & set(sources("fit", params.modules())) == expected | (
        {"stages/flow/spaces/tokens.py"} if velocity["kind"] == "tokens" else set()
    )


def test_sampling_learns_the_kind_from_the_fitted_artifact_whose_key_is_part_of_its_own():
    assert not FILES & set(sources("sample"))
