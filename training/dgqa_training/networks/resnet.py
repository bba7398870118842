"""ResNet-50 with torchvision's parameter names, so that its state dicts load strictly.

Architecture: He et al., "Deep Residual Learning" (CVPR 2016), with the stride in the 3×3 convolution as
torchvision has it.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from pathlib import Path
from pickle import UnpicklingError
from zipfile import BadZipFile

import torch
from torch import Tensor, nn
from torch.nn import functional

from dgqa_infer.errors import ModelError

NO_STATE_DICT = (
    *(UnpicklingError, RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError),
    *(AssertionError, OverflowError, BadZipFile),
)
"""What `torch.load` raises at bytes that it has not written: they are a program to it."""

STAGES = ("stem", "layer1", "layer2", "layer3", "layer4")
"""Names of the maps that `ResNet50.stages` returns, fine to coarse; strides 4, 4, 8, 16, 32."""

_LAYERS = ((3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2))  # blocks, inner channels, stride
_EXPANSION = 4
_PUBLISHED = {
    "19c8e357": "IMAGENET1K_V1",  # an older file
    "0676ba61": "IMAGENET1K_V1",
    "11ad3fa6": "IMAGENET1K_V2",
}


class _Bottleneck(nn.Module):
    def __init__(self, channels: int, inner: int, stride: int) -> None:
        super().__init__()
        out = inner * _EXPANSION
        self.conv1 = nn.Conv2d(channels, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        return functional.relu(self.bn3(self.conv3(y)) + shortcut)


class ResNet50(nn.Module):
    """The convolutional part of ResNet-50.

    Attributes:
        channels: stage name → channels of its map.
        mean, scale: input normalisation, (x − mean) / scale on 0–255 RGB, as torchvision states them.
    """

    mean: tuple[float, float, float] = (0.485 * 255, 0.456 * 255, 0.406 * 255)
    scale: tuple[float, float, float] = (0.229 * 255, 0.224 * 255, 0.225 * 255)

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.channels = {"stem": 64}
        channels = 64
        for index, (blocks, inner, stride) in enumerate(_LAYERS, start=1):
            layer: OrderedDict[str, nn.Module] = OrderedDict()
            for block in range(blocks):
                layer[str(block)] = _Bottleneck(channels, inner, stride if block == 0 else 1)
                channels = inner * _EXPANSION
            setattr(self, f"layer{index}", nn.Sequential(layer))
            self.channels[f"layer{index}"] = channels

    def stages(self, x: Tensor) -> dict[str, Tensor]:
        """All stage maps.

        Args:
            x: normalised float [n, 3, h, w].

        Returns:
            Stage name → float [n, channels, h / stride, w / stride].
        """
        x = functional.relu(self.bn1(self.conv1(x)))
        x = functional.max_pool2d(x, 3, 2, 1)
        maps = {"stem": x}
        for index in range(1, len(_LAYERS) + 1):
            x = getattr(self, f"layer{index}")(x)
            maps[f"layer{index}"] = x
        return maps


def weights_name(file: Path) -> str:
    """Which of torchvision's ImageNet weights a file holds.

    torchvision names each file after the first eight digits of its SHA-256 (`torchvision/models/resnet.py`).
    The two differ: 76.1 % and 80.9 % top-1 on ImageNet.

    Returns:
        "IMAGENET1K_V1", "IMAGENET1K_V2", or "unknown" with the digits.

    Raises:
        ModelError: the file cannot be read.
    """
    try:
        with file.open("rb") as stream:
            digits = hashlib.file_digest(stream, "sha256").hexdigest()[:8]
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {error.strerror}") from error
    return _PUBLISHED.get(digits, f"unknown ({digits})")


def load_torchvision(file: Path) -> ResNet50:
    """The network with torchvision's weights, without running any code of that file.

    Args:
        file: `resnet50`'s state dict as torchvision publishes it; its `fc.*` entries are left out.

    Raises:
        ModelError: the file is missing, holds more than tensors, or its entries are not ResNet-50's.
    """
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {error.strerror or error}") from error
    except NO_STATE_DICT as error:
        raise ModelError(f"{file}: not a state dict of tensors as PyTorch saves it") from error
    network = ResNet50()
    try:
        network.load_state_dict({key: value for key, value in state.items() if not key.startswith("fc.")})
    except (AttributeError, RuntimeError) as error:
        raise ModelError(f"{file}: its entries are not those of torchvision's resnet50: {error}") from error
    return network
