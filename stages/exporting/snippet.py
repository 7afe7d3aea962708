"""Python that loads an exported network, with the libraries that its architecture comes from and no others."""

from torch import nn

from stages.params.network import Model, Network


def loading(network: Network, module: nn.Module, file: str, folder: bool = False) -> str:
    """Lines that end with the network as `net`, from a safetensors file, or from a hub's `folder` where timm can."""
    if isinstance(network, Model) and network.model.startswith("timm:"):
        return _timm(network, file, folder)
    load = f'net.load_state_dict(load_file("{file}"))\nnet.eval()'
    reading = "from safetensors.torch import load_file"
    if isinstance(network, Model) and network.model.startswith("torchvision:"):
        name = network.model.partition(":")[2]
        make = f'net = torchvision.models.get_model("{name}", weights=None{_arguments(network)})'
        return f"import torchvision\n{reading}\n\n{make}\n{load}"
    if isinstance(network, Model):
        package, _, factory = network.model.partition(":")
        first = factory.partition(".")[0]
        make = f"net = {factory}({_arguments(network).removeprefix(', ')})"
        return f"from {package} import {first}\n{reading}\n\n{make}\n{load}"
    if layers := _plain(module):
        lines = "".join(f"    {layer},\n" for layer in layers)
        return f"from torch import nn\n{reading}\n\nnet = nn.Sequential(\n{lines})\n{load}"
    return (
        f"import json\nfrom pathlib import Path\n\n{reading}\n\n"
        "from stages.nets.registry import build\nfrom stages.params.network import network_from\n\n"
        'net = build(network_from(json.loads(Path("config.json").read_text())["network"]))\n'
        f"{load}"
    )


def _timm(network: Model, file: str, folder: bool) -> str:
    name = network.model.partition(":")[2]
    if folder:
        return 'import timm\n\nnet = timm.create_model("local-dir:.", pretrained=True).eval()'
    arguments = f'"{name}", checkpoint_path="{file}"{_arguments(network)}'
    return f"import timm\n\nnet = timm.create_model({arguments}).eval()"


def _arguments(network: Model) -> str:
    return "".join(f", {name}={value!r}" for name, value in network.kwargs.items())


def _plain(module: nn.Module) -> list[str]:
    """The layers of a Sequential as calls, where all of them are torch's own; empty otherwise."""
    if type(module) is not nn.Sequential:
        return []
    layers = list(module)
    own = all(type(layer).__module__.startswith("torch.nn.modules") and not list(layer.children()) for layer in layers)
    return [f"nn.{type(layer).__name__}({layer.extra_repr()})" for layer in layers] if own else []
