"""torchvision's ResNet-18 with a stem for small images."""

from torch import nn
from torch.nn import init

from stages.params.network import ResNet18


def build(network: ResNet18) -> nn.Module:
    """The module, with torchvision's initialisation."""
    from torchvision.models import resnet18

    module = resnet18(weights=None, num_classes=network.classes)
    module.conv1 = nn.Conv2d(network.channels, module.conv1.out_channels, 3, padding=1, bias=False)
    init.kaiming_normal_(module.conv1.weight, mode="fan_out", nonlinearity="relu")  # as torchvision's own stem
    module.add_module("maxpool", nn.Identity())
    return module
