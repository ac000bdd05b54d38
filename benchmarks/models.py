"""The measured networks in PyTorch: the same layers in the same sizes."""

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from benchmarks.nets import Convolutional, Net, Recurrent, Transformer


def model_of(torch: Any, net: Net) -> Any:
    """Return the network as a PyTorch module."""
    return MODELS[type(net)](torch, net)


def _dense(torch: Any, net: Net) -> Any:
    return torch.nn.Sequential(*_linears(torch, net.widths))


def _linears(torch: Any, widths: tuple[int, ...]) -> list[Any]:
    return [layer for pair in pairwise(widths) for layer in (torch.nn.Linear(*pair), torch.nn.ReLU())][:-1]


def _convolutional(torch: Any, net: Convolutional) -> Any:
    dense = _linears(torch, (net.flat, *net.widths[1:]))
    return torch.nn.Sequential(*_convolutions(torch, net), *dense)


def _convolutions(torch: Any, net: Convolutional) -> Iterator[Any]:
    height, width, channels = net.image
    yield torch.nn.Unflatten(1, (channels, height, width))
    for layer in net.front:
        if layer == "max_pooling2d":
            yield torch.nn.MaxPool2d(2)
            continue
        yield torch.nn.Conv2d(channels, layer["filters"], layer["kernel_size"], padding=layer["padding"])
        yield torch.nn.ReLU()
        channels = layer["filters"]
    yield torch.nn.Flatten()


def _recurrent(torch: Any, net: Recurrent) -> Any:
    inputs, units, classes = net.widths

    class Last(torch.nn.Module):  # type: ignore[misc]  # torch has no types here
        """A recurrent layer, then a dense layer on the last step's output."""

        def __init__(self) -> None:
            super().__init__()
            self.recurrent = getattr(torch.nn, net.layer.upper())(inputs, units, batch_first=True)
            self.dense = torch.nn.Linear(units, classes)

        def forward(self, x: Any) -> Any:
            return self.dense(self.recurrent(x)[0][:, -1])

    return Last()


def _transformer(torch: Any, net: Transformer) -> Any:
    tokens, width, _ = net.widths

    class Block(torch.nn.Module):  # type: ignore[misc]  # torch has no types here
        """Transformer block: causal self-attention and two dense layers, each normalized first."""

        def __init__(self) -> None:
            super().__init__()
            self.before, self.between = (torch.nn.LayerNorm(width, eps=1e-3) for _ in range(2))
            self.projections, self.output = torch.nn.Linear(width, 3 * width), torch.nn.Linear(width, width)
            self.wide = torch.nn.Sequential(
                torch.nn.Linear(width, 4 * width), torch.nn.GELU(), torch.nn.Linear(4 * width, width)
            )

        def forward(self, x: Any) -> Any:
            parts = self.projections(self.before(x)).chunk(3, dim=-1)
            heads = [part.unflatten(-1, (net.heads, -1)).transpose(1, 2) for part in parts]
            seen = torch.nn.functional.scaled_dot_product_attention(*heads, is_causal=True)
            x = x + self.output(seen.transpose(1, 2).flatten(2))
            return x + self.wide(self.between(x))

    class Gpt(torch.nn.Module):  # type: ignore[misc]  # torch has no types here
        """Token and position embeddings, the blocks, and a dense layer over the vocabulary."""

        def __init__(self) -> None:
            super().__init__()
            self.tokens, self.places = torch.nn.Embedding(tokens, width), torch.nn.Embedding(net.tokens, width)
            self.blocks = torch.nn.Sequential(*(Block() for _ in range(net.blocks)))
            self.last, self.dense = torch.nn.LayerNorm(width, eps=1e-3), torch.nn.Linear(width, tokens)

        def forward(self, x: Any) -> Any:
            return self.dense(self.last(self.blocks(self.tokens(x) + self.places.weight)))

    return Gpt()


MODELS: Mapping[type[Net], Callable[[Any, Any], Any]] = MappingProxyType(
    {Net: _dense, Convolutional: _convolutional, Recurrent: _recurrent, Transformer: _transformer}
)
