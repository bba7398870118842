"""Depthwise convolution whose gradients are fast on a CPU.

oneDNN has no optimised kernel for two of them, and falls back to plain loops that take most of a training
step of EfficientNet-Lite: the gradient of the input where the stride is 2, and in bf16 the gradient of a
5×5 kernel. Both are had from kernels that are fast: the first is a convolution of stride 1 over the spread
gradient, the second is taken in float32. `benchmarks/domains/training.py` measures what that brings.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional, grad

_SLOW_IN_HALF = 5  # kernels from this size


class _Depthwise(torch.autograd.Function):
    """Depthwise convolution without padding or bias: x [n, c, h, w], weight [c, 1, k, k] → [n, c, h', w']."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return functional.conv2d(x, weight, stride=stride, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        (gradient,) = gradients
        of_x = _of_input(gradient, weight, ctx.stride, x.shape) if ctx.needs_input_grad[0] else None
        of_weight = _of_weight(gradient, x, weight, ctx.stride) if ctx.needs_input_grad[1] else None
        return of_x, of_weight, None


def _of_input(gradient: Tensor, weight: Tensor, stride: int, shape: torch.Size) -> Tensor:
    """Gradient of the input: the output's, spread over the strided places, through the turned kernel."""
    channels, _, kernel, _ = weight.shape
    if stride == 1:
        native: Tensor = grad.conv2d_input(  # type: ignore[no-untyped-call]
            list(shape), weight, gradient, groups=channels
        )
        return native
    # The places that the forward pass read: rows and columns beyond them keep a gradient of zero.
    sides = (shape[0], channels, shape[2] + kernel - 1, shape[3] + kernel - 1)
    spread = torch.empty(sides, dtype=gradient.dtype, memory_format=torch.channels_last).zero_()
    height, width = (stride * (side - 1) + 1 for side in gradient.shape[2:])
    edge = kernel - 1
    spread[:, :, edge : edge + height : stride, edge : edge + width : stride] = gradient
    return functional.conv2d(spread, weight.flip(2, 3), groups=channels)


def _of_weight(gradient: Tensor, x: Tensor, weight: Tensor, stride: int) -> Tensor:
    kernel, dtype = weight.shape[-1], weight.dtype
    if kernel >= _SLOW_IN_HALF:
        gradient, x, weight = gradient.float(), x.float(), weight.float()
    found: Tensor = grad.conv2d_weight(  # type: ignore[no-untyped-call]
        x, list(weight.shape), gradient, stride=stride, groups=len(weight)
    )
    return found.to(dtype)


def depthwise(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """`torch.nn.functional.conv2d` of one kernel a channel, without padding.

    Args:
        x: float [n, c, h, w].
        weight: [c, 1, k, k].
        stride: in both directions.

    Returns:
        [n, c, (h − k) // stride + 1, (w − k) // stride + 1]; under autocast in its type.
    """
    if torch.is_autocast_enabled("cpu"):
        half = torch.get_autocast_dtype("cpu")
        x, weight = x.to(half), weight.to(half)
    convolved: Tensor = _Depthwise.apply(x, weight, stride)  # type: ignore[no-untyped-call]
    return convolved
