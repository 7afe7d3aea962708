import copy
from pathlib import Path

import pytest
import torch
from foreign_checkpoints import convnet, prefixed, save, trained

from stages.errors import UsageError
from stages.store.checkpoint_files import Checkpoint, read_checkpoints
from stages.store.state_dicts import Expected

PLAIN = trained(0).state_dict()
AVERAGE = trained(1).state_dict()
OTHER = convnet(width=5).state_dict()
EXPECTED = Expected.of_module(convnet())


def read_checkpoint(path: Path, ema: bool = False, key: str | None = None) -> Checkpoint:
    found = read_checkpoints(path, EXPECTED, key, ema)
    assert found.positions == [""]
    return found[0]


def same(found, expected) -> bool:
    return found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("ending", ["safetensors", "pt", "pth", "bin", "ckpt", "npz"])
def test_a_bare_state_dict_comes_back_from_every_format(tmp_path, ending):
    found = read_checkpoint(save(tmp_path / f"a.{ending}", dict(PLAIN)))
    assert same(found.tensors, PLAIN)
    assert found.notes == ()


CONTAINERS = {
    "state_dict": {"state_dict": PLAIN, "epoch": 3, "best": torch.tensor(0.9)},
    "model": {"model": PLAIN, "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": []}},
    "model_state_dict": {"model_state_dict": PLAIN, "loss": 0.5, "optimizer_state_dict": {"x": {"m": torch.ones(1)}}},
    "net": {"net": PLAIN, "acc": 94.1},
    "student": {"student": PLAIN, "optimizer": {"fp32_weights": AVERAGE}},
    "checkpoint.state_dict": {"checkpoint": {"state_dict": PLAIN, "step": 7}},
}


@pytest.mark.parametrize("where", CONTAINERS)
def test_what_a_training_loop_saved_is_unwrapped_and_said(tmp_path, where):
    found = read_checkpoint(save(tmp_path / "a.pt", CONTAINERS[where]))
    assert same(found.tensors, PLAIN)
    assert found.notes == (f"taken from {where!r}",)


def test_lightning_s_callbacks_are_not_taken_for_weights(tmp_path):
    saved = {
        "state_dict": prefixed(PLAIN, "model."),
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.ones(())}},
        "optimizer_states": [{"state": {}}],
        "pytorch-lightning_version": "2.0",
    }
    assert same(read_checkpoint(save(tmp_path / "a.ckpt", saved)).tensors, prefixed(PLAIN, "model."))


@pytest.mark.parametrize("name", ["ema", "model_ema", "state_dict_ema", "ema_state_dict"])
def test_weights_are_taken_unless_their_average_is_asked_for(tmp_path, name):
    path = save(tmp_path / "a.pt", {"state_dict": PLAIN, name: AVERAGE})
    plain, average = read_checkpoint(path), read_checkpoint(path, ema=True)
    assert same(plain.tensors, PLAIN)
    assert plain.notes[1] == f"moving average under '{name}' left aside (zoo.ema: true takes it)"
    assert same(average.tensors, AVERAGE)
    assert average.notes == (f"taken from '{name}'",)


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
@pytest.mark.parametrize("prefix", ["", "model."])
def test_an_average_beside_the_weights_in_one_flat_file_is_split_off(tmp_path, ending, prefix):
    saved = prefixed(PLAIN, prefix) | prefixed(AVERAGE, "model_ema.")
    path = save(tmp_path / f"a.{ending}", saved)
    assert same(read_checkpoint(path).tensors, prefixed(PLAIN, prefix))
    assert same(read_checkpoint(path, ema=True).tensors, AVERAGE)


def test_a_layer_that_happens_to_be_called_ema_stays(tmp_path):
    tensors = {"body.weight": torch.ones(2), "ema_gate.scale": torch.ones(1)}
    assert same(read_checkpoint(save(tmp_path / "a.pt", tensors)).tensors, tensors)


@pytest.mark.parametrize(
    ("saved", "ema", "said"),
    [
        (
            {"state_dict": PLAIN},
            True,
            r"a\.pt: holds no moving average \(ema\), under 'state_dict'; set zoo.ema: false",
        ),
        ({"ema": AVERAGE}, False, r"a\.pt: holds only a moving average, under 'ema'; set zoo.ema: true"),
        (
            {"generator": PLAIN, "critic": PLAIN},
            False,
            r"several sets of tensors, 'generator', 'critic'; zoo.key: generator takes one of them, '\*' each",
        ),
        (
            {"state_dict": prefixed(PLAIN, "student.") | prefixed(PLAIN, "teacher.")},
            False,
            r"'state_dict.student', 'state_dict.teacher'; zoo.key: state_dict.student takes .*, 'state_dict.\*' each",
        ),
        (
            {"model": PLAIN, "ema": {"decay": 0.99, "shadow_params": [*PLAIN.values()]}},
            True,
            r"a\.pt: the tensors of 'ema.shadow_params' have no names; copy the average into the model and save",
        ),
        ({"ema": AVERAGE, "log": {"loss": torch.ones(3)}}, False, r"holds only a moving average, under 'ema'; set"),
        ({"net": PLAIN, "ema_log": {"x": torch.ones(3)}}, True, r"holds no moving average \(ema\), under 'net'; set"),
        ({"epoch": 3}, False, r"a\.pt: holds no named tensors \(dict\)"),
        ([torch.ones(2)], False, r"a\.pt: holds no named tensors \(list\)"),
        ({}, False, r"a\.pt: holds no named tensors"),
    ],
)
def test_a_file_that_does_not_say_what_is_meant_is_refused(tmp_path, saved, ema, said):
    with pytest.raises(UsageError, match=said) as caught:
        read_checkpoint(save(tmp_path / "a.pt", saved), ema)
    assert "\n" not in str(caught.value)


def test_what_is_read_is_the_file_s_own(tmp_path):
    saved = copy.deepcopy(dict(PLAIN))
    path = save(tmp_path / "a.pt", saved)
    saved["0.weight"].zero_()
    assert same(read_checkpoint(path).tensors, PLAIN)


FLAT_AVERAGE = {name.replace(".", ""): tensor for name, tensor in AVERAGE.items() if tensor.ndim}

AVERAGES = {
    "ema_pytorch": (
        {
            "model": PLAIN,
            "ema": {
                **prefixed(PLAIN, "online_model."),
                **prefixed(AVERAGE, "ema_model."),
                "initted": torch.tensor(True),
                "step": torch.tensor(3),
            },
        },
        "ema.ema_model",
    ),
    "ema_pytorch alone": (
        {**prefixed(PLAIN, "online_model."), **prefixed(AVERAGE, "ema_model."), "step": torch.tensor(3)},
        "ema_model",
    ),
    "timm": ({"state_dict": PLAIN, "state_dict_ema": AVERAGE}, "state_dict_ema"),
    "torch AveragedModel": (
        {"model": PLAIN, "averaged": {**prefixed(AVERAGE, "module."), "n_averaged": torch.tensor(2)}},
        "averaged",
    ),
    "stochastic weight averaging": ({"model": PLAIN, "swa_model": AVERAGE}, "swa_model"),
    "a callback of Lightning": (
        {"state_dict": PLAIN, "callbacks": {"EMACallback{'decay': 0.999}": {"ema_state_dict": AVERAGE}}},
        "callbacks.EMACallback{'decay': 0.999}.ema_state_dict",
    ),
    "Lightning's WeightAveraging": (
        {"state_dict": AVERAGE, "current_model_state": PLAIN, "averaging_state": {"n_averaged": torch.tensor(2)}},
        "state_dict",
    ),
    "YOLO": ({"model": PLAIN, "ema": AVERAGE, "updates": 100}, "ema"),
    "a shadow": ({"net": PLAIN, "ema": {"shadow": AVERAGE, "decay": 0.9}}, "ema.shadow"),
    "latent diffusion": (
        {
            "state_dict": prefixed(PLAIN, "model.")
            | prefixed(FLAT_AVERAGE, "model_ema.")
            | {"model_ema.decay": torch.tensor(0.99), "model_ema.num_updates": torch.tensor(7)}
        },
        "state_dict.model_ema",
    ),
}


@pytest.mark.parametrize("library", AVERAGES)
def test_the_averages_of_known_libraries_are_told_from_the_weights(tmp_path, library):
    saved, place = AVERAGES[library]
    path = save(tmp_path / "a.pt", saved)
    weights, average = read_checkpoint(path), read_checkpoint(path, ema=True)
    assert torch.equal(EXPECTED.match(weights.tensors, "a.pt").row, EXPECTED.match(PLAIN, "a.pt").row)
    assert torch.equal(EXPECTED.match(average.tensors, "a.pt").row, EXPECTED.match(AVERAGE, "a.pt").row)
    assert average.notes[0] == f"taken from {place!r}"


def test_an_averaged_model_alone_is_taken_either_way(tmp_path):
    net = convnet()
    net.load_state_dict(AVERAGE)
    averaged = torch.optim.swa_utils.AveragedModel(net)
    path = save(tmp_path / "a.pt", averaged.state_dict())
    for ema in (False, True):
        found = read_checkpoint(path, ema)
        assert torch.equal(EXPECTED.match(found.tensors, "a.pt").row, EXPECTED.match(AVERAGE, "a.pt").row)
        assert found.notes == ()


def test_what_is_called_an_average_and_is_none_is_no_part_of_it(tmp_path):
    log = {"callbacks": {"EMA": {"ema_log": {"decay": torch.ones(2)}}}}
    path = save(tmp_path / "a.pt", {"state_dict": PLAIN, "ema": AVERAGE} | log)
    assert same(read_checkpoint(path, ema=True).tensors, AVERAGE)
    assert read_checkpoint(path).notes[1] == "moving average under 'ema' left aside (zoo.ema: true takes it)"


GAN = {"netG": PLAIN, "netD": AVERAGE, "optG": {"state": {0: {"exp_avg": torch.ones(2)}}}}
DISTILLED = {"state_dict": prefixed(PLAIN, "module.student.") | prefixed(AVERAGE, "module.teacher.")}
NESTED = {"ema": {"student": {"model": AVERAGE}}, "student": {"model": PLAIN}}


@pytest.mark.parametrize(
    ("saved", "key", "expected"),
    [
        (GAN, "netG", PLAIN),
        (GAN, "netD", AVERAGE),
        (DISTILLED, "state_dict.module.student.", PLAIN),
        (DISTILLED, "state_dict.module.teacher", AVERAGE),
        (DISTILLED["state_dict"], "module.teacher", AVERAGE),
        (prefixed(PLAIN, "student.") | prefixed(OTHER, "teacher."), "student.", PLAIN),
        (prefixed(OTHER, "a.") | prefixed(PLAIN, "ab."), "ab", PLAIN),
        (NESTED, "student", PLAIN),
        (NESTED, "ema.student", AVERAGE),
        ({"model": PLAIN, "ema": AVERAGE}, "ema", AVERAGE),
        ({"a": {"best": AVERAGE}, "b": PLAIN}, "*.best", AVERAGE),
    ],
)
def test_a_key_names_the_network(tmp_path, saved, key, expected):
    assert same(read_checkpoint(save(tmp_path / "a.pt", saved), key=key).tensors, expected)


def test_a_key_that_leads_nowhere_is_told_what_is_there(tmp_path):
    with pytest.raises(
        UsageError, match=r"a\.pt: has nothing under zoo.key, 'netX'; found 'netG', 'netD', 'optG.state"
    ):
        read_checkpoint(save(tmp_path / "a.pt", GAN), key="netX")
    with pytest.raises(UsageError, match=r"a\.pt: has nothing under zoo.key, 'net'; found 'n'"):
        read_checkpoint(save(tmp_path / "a.pt", {"n": prefixed(PLAIN, "net.")}), key="net")


def test_the_one_that_fits_is_taken_and_said(tmp_path):
    for saved in ({"netD": OTHER, "netG": PLAIN}, prefixed(OTHER, "netD.") | {"netG": PLAIN}):
        found = read_checkpoint(save(tmp_path / "a.pt", saved))
        assert same(found.tensors, PLAIN)
        assert found.notes == ("taken from 'netG'",)


STATES = [trained(seed).state_dict() for seed in range(3)]
MANY = {
    "a list": (STATES, ["0000", "0001", "0002"]),
    "a tuple within": ({"models": tuple(STATES)}, ["0000", "0001", "0002"]),
    "a dict": ({f"seed{i}": s for i, s in enumerate(STATES)}, ["seed0", "seed1", "seed2"]),
    "by numbers": ({i * 10: s for i, s in enumerate(STATES)}, ["0000", "0010", "0020"]),
    "wrapped each": ([{"state_dict": s, "acc": 0.5, "optim": {"x": s}} for s in STATES], ["0000", "0001", "0002"]),
    "with an average each": ([{"model": s, "ema": AVERAGE} for s in STATES], ["0000", "0001", "0002"]),
    "stacked": ({name: torch.stack([s[name] for s in STATES]) for name in STATES[0]}, ["0000", "0001", "0002"]),
    "stacked within": (
        {"model": {f"module.{name}": torch.stack([s[name] for s in STATES]) for name in STATES[0]}, "step": 3},
        ["0000", "0001", "0002"],
    ),
    "a module list": (
        {f"nets.{i}.{name}": tensor for i, s in enumerate(STATES) for name, tensor in s.items()},
        ["0000", "0001", "0002"],
    ),
    "a list of stacks": (
        [{name: torch.stack([s[name] for s in part]) for name in PLAIN} for part in (STATES[:2], STATES[2:])],
        ["0000:0000", "0000:0001", "0001:0000"],
    ),
}


@pytest.mark.parametrize("kind", MANY)
def test_each_of_many_networks_in_a_file_is_itself(tmp_path, kind):
    saved, positions = MANY[kind]
    found = read_checkpoints(save(tmp_path / "a.pt", saved), EXPECTED)
    assert found.positions == positions
    assert len(found) == 3
    for i, state in enumerate(STATES):
        row = EXPECTED.match(found[i].tensors, "a.pt").row
        assert torch.equal(row, EXPECTED.match(state, "a.pt").row)
    assert found.notes[0] == "one of 3 networks in its file"


def test_with_a_wildcard_each_match_is_a_network(tmp_path):
    path = save(tmp_path / "a.pt", {"alice": STATES[0], "bob": STATES[1], "log": {"loss": torch.ones(2)}})
    found = read_checkpoints(path, EXPECTED, key="[ab]*")
    assert found.positions == ["alice", "bob"]
    assert same(found[1].tensors, STATES[1])


def test_one_of_many_that_does_not_fit_is_not_left_out_in_silence(tmp_path):
    found = read_checkpoints(save(tmp_path / "a.pt", [*STATES, OTHER]), EXPECTED)
    assert len(found) == 4
    assert same(found[3].tensors, OTHER)
    beside = {"nets": [*STATES, OTHER], "log": {"loss": torch.ones(2)}}
    assert len(read_checkpoints(save(tmp_path / "b.pt", beside), EXPECTED)) == 4


def test_a_list_or_a_stack_of_one_is_a_file_with_one_network(tmp_path):
    for saved in ([PLAIN], {name: tensor[None] for name, tensor in PLAIN.items()}):
        assert torch.equal(read_checkpoint(save(tmp_path / "a.pt", saved)).tensors["5.weight"], PLAIN["5.weight"])


def test_a_stack_is_one_only_if_every_tensor_has_the_further_axis(tmp_path):
    stack = {name: torch.stack([s[name] for s in STATES]) for name in PLAIN}
    found = read_checkpoints(save(tmp_path / "a.pt", stack | {"5.bias": PLAIN["5.bias"]}), EXPECTED)
    assert len(found) == 1
    found = read_checkpoints(save(tmp_path / "b.pt", stack | {"5.bias": stack["5.bias"][:2]}), EXPECTED)
    assert len(found) == 1
