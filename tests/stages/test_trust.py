"""Whose functions are called: one's own and libraries' networks, whatever they are reached through; no other runs."""

import sys
import threading
from pathlib import Path

import pytest
from torch import nn

from stages.errors import UsageError
from stages.factories import imported
from stages.trust import check_callable, check_module, trusting

OWN = """
import functools, os, pathlib, shutil, subprocess
import torch
from torch import nn
from torchvision.models import resnet18
class Net(nn.Module):
    @classmethod
    def small(cls): return cls()
class Callable:
    def __call__(self): return Net()
def make(): return Net()
instance = Callable()
harmful = functools.partial(os.system)
registry = {}
"""


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the import path with a module of the user's own."""
    (tmp_path / "my_escapes.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_escapes", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    "target",
    [
        *("my_escapes:make", "my_escapes:Net", "my_escapes:Net.small", "my_escapes:instance"),
        *("my_escapes:resnet18", "my_escapes:nn.Linear", "torch.nn:Linear", "torchvision.models:resnet18"),
        *("torchvision.models.segmentation:fcn_resnet50", "timm.models.vision_transformer:VisionTransformer"),
        *("pipeline.survey:hugging_face", "stages.nets.public_zoos:small_cnn"),
    ],
)
def test_own_functions_and_networks_of_libraries_are_taken(target: str) -> None:
    assert callable(imported(target, "network"))


@pytest.mark.parametrize(
    "target",
    [
        *("os:system", "posix:system", "builtins:exec", "subprocess:run", "importlib:import_module", "numpy:load"),
        *("test.support.script_helper:assert_python_ok", "antigravity:webbrowser.open", "torch.hub:load", "torch:load"),
        *("my_escapes:os.system", "my_escapes:subprocess.run", "my_escapes:shutil.rmtree", "my_escapes:torch.load"),
        *("my_escapes:harmful", "my_escapes:registry.get", "my_escapes:Net.__class__", "my_escapes:make.__call__"),
        *("my_escapes:pathlib.Path.unlink", "torchvision.io.os:system", "torchvision:io.os.system"),
        *("transformers:pipeline", "transformers:BertModel.from_pretrained", "torch.nn:functional.importlib.reload"),
        *("timm.models:load_state_dict_from_hf", "torchvision.models:get_weight", "torch.nn:Module.apply"),
        *("stages.factories:imported", "stages.factories:import_module", "pipeline.commands.terminal:show_tracebacks"),
    ],
)
def test_all_else_is_refused_in_one_line_before_it_is_called(target: str) -> None:
    with pytest.raises(UsageError, match=r"^network ") as refused:
        imported(target, "network")
    assert len(str(refused.value).splitlines()) == 1


def test_what_is_refused_is_not_even_imported(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = own / "site-packages"
    (installed / "harmful_package").mkdir(parents=True)
    (installed / "harmful_package" / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(installed)
    for module in ("harmful_package", "harmful_package.inside"):
        with pytest.raises(UsageError, match=r"say --trust harmful_package$"):
            imported(f"{module}:make", "network")
    with trusting(["harmful_package"]), pytest.raises(SystemExit):
        imported("harmful_package:make", "network")


def test_trust_is_in_a_module_and_those_below_it_for_a_while() -> None:
    with trusting(["xml.dom"]):
        check_module("xml.dom.minidom", "here")
        assert callable(imported("xml.dom.minidom:parseString", "here"))
        for other in ("xml.sax", "xml.domain", "xml"):
            with pytest.raises(UsageError, match=r"^here: xml"):
                check_module(other, "here")
        with pytest.raises(UsageError, match=r"posix\.system|nt\.system"):
            imported("my_escapes:os.system", "here")
        with trusting(["os", "posix", "nt"]):
            check_module("xml.dom", "here")
            imported("my_escapes:os.system", "here")
    with pytest.raises(UsageError, match=r"--trust xml$"):
        check_module("xml.dom", "here")


def test_a_thread_trusts_nobody_by_itself() -> None:
    refused = []

    def check() -> None:
        try:
            check_module("xml", "here")
        except UsageError:
            refused.append(True)

    with trusting(["xml"]):
        thread = threading.Thread(target=check)
        thread.start()
        thread.join()
    assert refused == [True]


def test_a_class_counts_where_it_is_defined() -> None:
    class Disguised(nn.Module):
        pass

    check_callable(Disguised, "here")
    Disguised.__module__ = "pybind11_builtins"
    with pytest.raises(UsageError, match=r"pybind11_builtins\."):
        check_callable(Disguised, "here")
