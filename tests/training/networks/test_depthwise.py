import pytest
import torch
from torch.nn import functional

from dgqa_training.networks.depthwise import depthwise


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("sides", [(11, 11), (12, 9)])
def test_values_and_gradients_are_those_of_the_plain_convolution(kernel, stride, sides):
    """The second opinion is torch's own convolution with its own gradients."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 6, *sides, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(6, 1, kernel, kernel, generator=generator, dtype=torch.float64, requires_grad=True)
    plain = functional.conv2d(x, weight, stride=stride, groups=6)
    ours = depthwise(x, weight, stride)
    torch.testing.assert_close(ours, plain)
    towards = torch.randn(plain.shape, generator=generator, dtype=torch.float64)
    expected = torch.autograd.grad(plain, (x, weight), towards)
    # Large kernels go through float32.
    torch.testing.assert_close(
        torch.autograd.grad(ours, (x, weight), towards), expected, rtol=1e-5, atol=1e-5
    )


def test_a_kernel_that_is_not_trained_gets_no_gradient():
    x = torch.randn(1, 4, 8, 8, requires_grad=True)
    weight = torch.randn(4, 1, 3, 3)
    depthwise(x, weight, 2).sum().backward()
    assert x.grad is not None
    assert weight.grad is None


def test_autocast_decides_the_type():
    x, weight = torch.randn(1, 4, 8, 8), torch.randn(4, 1, 3, 3, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        convolved = depthwise(x, weight, 1)
    assert convolved.dtype == torch.bfloat16
    convolved.float().sum().backward()
    assert weight.grad is not None
    assert weight.grad.dtype == torch.float32
