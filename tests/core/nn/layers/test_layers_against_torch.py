"""Layers that PyTorch has as well: the same outputs and gradients, in float64."""

from typing import Any, NamedTuple

import numpy as np
import pytest

from core.nn.arrays import Array, Shape
from core.nn.layers.attention import MultiHeadAttention
from core.nn.layers.composite import Layer
from core.nn.layers.convolution import Conv1D, Conv2D
from core.nn.layers.depthwise import DepthwiseConv2D
from core.nn.layers.gating import Glu, SwiGlu
from core.nn.layers.global_pooling import (
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
)
from core.nn.layers.normalization import GroupNormalization, LayerNormalization, RMSNormalization
from core.nn.layers.pooling import AveragePooling1D, AveragePooling2D, MaxPooling1D, MaxPooling2D
from core.nn.layers.reshaping import Permute
from core.nn.layers.resizing import Cropping1D, Cropping2D, UpSampling1D, UpSampling2D, ZeroPadding1D, ZeroPadding2D
from core.nn.layers.transposed import Conv1DTranspose, Conv2DTranspose
from core.nn.network import Network
from core.nn.step.context import inference
from tests.core.nn.cases import sequential


class Case(NamedTuple):
    """A layer, the shape of a row, and the PyTorch function from a batch and weights by name to the outputs."""

    layer: Layer
    input_shape: Shape
    torch_function: Any


def channels_first(x: Any) -> Any:
    """Return `(batch, …, channels)` in PyTorch's order."""
    return x.movedim(-1, 1)


def channels_last(x: Any) -> Any:
    """Return `(batch, channels, …)` in our order."""
    return x.movedim(1, -1)


def conv2d(pad: tuple[int, int, int, int] = (0, 0, 0, 0), **options: Any) -> Any:
    """Return PyTorch's convolution after zero padding (left, right, top, bottom)."""

    def apply(torch: Any, x: Any, w: dict[str, Any]) -> Any:
        wide = torch.nn.functional.pad(channels_first(x), pad)
        kernel = w["kernel"].permute(3, 2, 0, 1)
        return channels_last(torch.nn.functional.conv2d(wide, kernel, w.get("bias"), **options))

    return apply


def conv1d(pad: tuple[int, int] = (0, 0), **options: Any) -> Any:
    """Return PyTorch's convolution after zero padding (before, after)."""

    def apply(torch: Any, x: Any, w: dict[str, Any]) -> Any:
        wide = torch.nn.functional.pad(channels_first(x), pad)
        kernel = w["kernel"].permute(2, 1, 0)
        return channels_last(torch.nn.functional.conv1d(wide, kernel, w.get("bias"), **options))

    return apply


def transposed(axes: int, **options: Any) -> Any:
    """Return PyTorch's transposed convolution; its kernel is ours flipped."""

    def apply(torch: Any, x: Any, w: dict[str, Any]) -> Any:
        kernel = w["kernel"].flip(*range(axes)).movedim((-2, -1), (0, 1))
        y = getattr(torch.nn.functional, f"conv_transpose{axes}d")(channels_first(x), kernel, w.get("bias"), **options)
        return channels_last(y)

    return apply


def depthwise(pad: tuple[int, int, int, int] = (0, 0, 0, 0), **options: Any) -> Any:
    """Return PyTorch's convolution with one group per channel."""

    def apply(torch: Any, x: Any, w: dict[str, Any]) -> Any:
        wide = torch.nn.functional.pad(channels_first(x), pad)
        kernel = w["kernel"].permute(2, 3, 0, 1).flatten(0, 1)[:, None]
        return channels_last(torch.nn.functional.conv2d(wide, kernel, w.get("bias"), groups=wide.shape[1], **options))

    return apply


def functional(function: str, *arguments: Any, **options: Any) -> Any:
    """Return a PyTorch function without weights that needs channels first."""

    def apply(torch: Any, x: Any, w: dict[str, Any]) -> Any:
        return channels_last(getattr(torch.nn.functional, function)(channels_first(x), *arguments, **options))

    return apply


def glu(torch: Any, x: Any, w: dict[str, Any]) -> Any:
    """Return PyTorch's gated linear unit."""
    return torch.nn.functional.glu(x)


def swiglu(torch: Any, x: Any, w: dict[str, Any]) -> Any:
    """Return the SwiGLU of PyTorch's SiLU."""
    a, b = x.chunk(2, dim=-1)
    return torch.nn.functional.silu(a) * b


def attention(heads: int, *, causal: bool = False) -> Any:
    """Return PyTorch's scaled dot-product attention between our projections."""

    def apply(torch: Any, x: Any, w: dict[str, Any]) -> Any:
        q, k, v = (
            part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (x @ w["kernel"] + w["bias"]).chunk(3, dim=-1)
        )
        outputs = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return outputs.transpose(1, 2).flatten(-2) @ w["output_kernel"] + w["output_bias"]

    return apply


def method(name: str, *arguments: Any) -> Any:
    """Return a method of PyTorch's tensors."""

    def apply(torch: Any, x: Any, w: dict[str, Any]) -> Any:
        return getattr(x, name)(*arguments)

    return apply


def normalized(function: str, argument: Any, *, channels_lead: bool = False, eps: float = 1e-3) -> Any:
    """Return one of PyTorch's normalizations, with its weights."""

    def apply(torch: Any, x: Any, w: dict[str, Any]) -> Any:
        weights = [w[name] for name in ("gamma", "beta") if name in w]
        x = channels_first(x) if channels_lead else x
        y = getattr(torch.nn.functional, function)(x, argument, *weights, eps=eps)
        return channels_last(y) if channels_lead else y

    return apply


CASES: list[Case] = [
    Case(Conv2D(filters=4, kernel_size=3), (7, 9, 2), conv2d()),
    Case(Conv2D(filters=4, kernel_size=(3, 4), padding="same"), (7, 9, 2), conv2d((1, 2, 1, 1))),
    Case(Conv2D(filters=3, kernel_size=(1, 2), use_bias=False, strides=(3, 2)), (7, 9, 2), conv2d(stride=(3, 2))),
    Case(Conv2D(filters=6, kernel_size=5, strides=2, padding="same"), (7, 8, 1), conv2d((1, 2, 2, 2), stride=2)),
    Case(Conv2D(filters=4, kernel_size=3, dilation_rate=(2, 3)), (7, 9, 2), conv2d(dilation=(2, 3))),
    Case(Conv2D(filters=6, kernel_size=3, groups=2, padding="same"), (5, 8, 4), conv2d((1, 1, 1, 1), groups=2)),
    Case(Conv2D(filters=5, kernel_size=3), (40, 61, 7), conv2d()),
    Case(Conv1D(filters=4, kernel_size=3, padding="same"), (9, 2), conv1d((1, 1))),
    Case(Conv1D(filters=4, kernel_size=3, padding="causal", dilation_rate=4), (9, 2), conv1d((8, 0), dilation=4)),
    Case(Conv1D(filters=4, kernel_size=4, strides=3, groups=2), (11, 2), conv1d(stride=3, groups=2)),
    Case(Conv1D(filters=2, kernel_size=9, padding="same"), (5003, 6), conv1d((4, 4))),
    Case(Conv2DTranspose(filters=4, kernel_size=3, strides=2), (4, 5, 3), transposed(2, stride=2)),
    Case(
        Conv2DTranspose(filters=4, kernel_size=(4, 3), strides=(2, 1), padding="same", use_bias=False),
        (4, 5, 3),
        transposed(2, stride=(2, 1), padding=1),
    ),
    Case(Conv2DTranspose(filters=4, kernel_size=3, dilation_rate=2), (4, 5, 3), transposed(2, dilation=2)),
    Case(Conv1DTranspose(filters=4, kernel_size=5, strides=3), (6, 2), transposed(1, stride=3)),
    Case(
        Conv1DTranspose(filters=4, kernel_size=4, strides=2, padding="same"), (6, 2), transposed(1, stride=2, padding=1)
    ),
    Case(DepthwiseConv2D(kernel_size=3, strides=2), (7, 6, 3), depthwise(stride=2)),
    Case(DepthwiseConv2D(kernel_size=3, padding="same", depth_multiplier=2), (5, 6, 3), depthwise((1, 1, 1, 1))),
    Case(MaxPooling1D(pool_size=3, strides=2), (8, 2), functional("max_pool1d", 3, 2)),
    Case(MaxPooling2D(), (5, 6, 3), functional("max_pool2d", 2)),
    Case(MaxPooling2D(pool_size=3, strides=1, padding="same"), (5, 6, 3), functional("max_pool2d", 3, 1, 1)),
    Case(AveragePooling1D(pool_size=3, strides=2), (8, 2), functional("avg_pool1d", 3, 2)),
    Case(AveragePooling2D(pool_size=(3, 2)), (7, 6, 3), functional("avg_pool2d", (3, 2))),
    Case(
        AveragePooling2D(pool_size=3, strides=1, padding="same"),
        (5, 6, 3),
        functional("avg_pool2d", 3, 1, 1, count_include_pad=False),
    ),
    Case(GlobalMaxPooling1D(), (5, 3), method("amax", 1)),
    Case(GlobalMaxPooling2D(), (5, 2, 3), method("amax", (1, 2))),
    Case(GlobalAveragePooling1D(), (5, 3), method("mean", 1)),
    Case(GlobalAveragePooling2D(), (5, 2, 3), method("mean", (1, 2))),
    Case(MultiHeadAttention(num_heads=2, key_dim=3), (7, 4), attention(2)),
    Case(MultiHeadAttention(num_heads=3, key_dim=2, causal=True), (5, 4), attention(3, causal=True)),
    Case(Glu(), (3, 4), glu),
    Case(SwiGlu(), (3, 4), swiglu),
    Case(LayerNormalization(), (4, 5), normalized("layer_norm", (5,))),
    Case(RMSNormalization(), (4, 5), normalized("rms_norm", (5,), eps=1e-6)),
    Case(GroupNormalization(groups=3), (4, 2, 6), normalized("group_norm", 3, channels_lead=True)),
    Case(Permute(dims=(3, 1, 2)), (4, 2, 6), method("permute", 0, 3, 1, 2)),
    Case(ZeroPadding1D(padding=(1, 2)), (5, 3), functional("pad", (1, 2))),
    Case(ZeroPadding2D(padding=((1, 2), (3, 0))), (5, 2, 3), functional("pad", (3, 0, 1, 2))),
    Case(Cropping1D(cropping=(1, 2)), (5, 3), functional("pad", (-1, -2))),
    Case(Cropping2D(cropping=((1, 2), (0, 1))), (5, 2, 3), functional("pad", (0, -1, -1, -2))),
    Case(UpSampling1D(size=3), (4, 2), functional("interpolate", scale_factor=3)),
    Case(UpSampling2D(size=(2, 3)), (4, 3, 2), functional("interpolate", scale_factor=(2, 3))),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.layer.type)
def test_outputs_and_gradients_equal_torchs(torch: Any, case: Case) -> None:
    rng = np.random.default_rng(0)
    network = Network(sequential(case.layer), case.input_shape)
    weights, statistics = network.initialize(rng, np.float64)
    weights += 0.1 * rng.standard_normal(weights.shape)
    gradient: Array = np.zeros_like(weights)
    views = network.views(weights, statistics, gradient, input_gradient=True)
    x = rng.standard_normal((3, *case.input_shape))
    ctx = inference(np.float64)
    ctx.training = True
    y, backward = network.forward(x, views, ctx)

    layer_views = views.parts[0]
    named = {name: torch.tensor(array, requires_grad=True) for name, array in layer_views.weights.items()}
    torch_x = torch.tensor(x, requires_grad=True)
    torch_y = case.torch_function(torch, torch_x, named)
    np.testing.assert_allclose(y, torch_y.detach().numpy(), rtol=1e-10, atol=1e-11)

    d_y = rng.standard_normal(y.shape)
    torch_y.backward(torch.from_numpy(d_y))
    d_x = backward(d_y.copy())
    np.testing.assert_allclose(d_x, torch_x.grad.numpy(), rtol=1e-10, atol=1e-11)
    for name, tensor in named.items():
        np.testing.assert_allclose(layer_views.gradients[name], tensor.grad.numpy(), rtol=1e-10, atol=1e-9)
