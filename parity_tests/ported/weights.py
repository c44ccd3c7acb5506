"""How users carry weights by hand: a PyTorch module becomes the list that a Keras layer's `set_weights` takes."""

from __future__ import annotations

import numpy as np
import torch
from diglot.core.noise import generator
from torch import nn


def array(tensor: torch.Tensor | None) -> np.ndarray:
    """A tensor as an array."""
    assert tensor is not None
    return tensor.detach().numpy()


def randomise(model: nn.Module) -> None:
    """Give every weight a random value of a size that keeps signals alive, biases and running statistics too."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            rng, shape = generator(1, f"ported {name}"), tuple(tensor.shape)
            if not tensor.is_floating_point():
                continue
            if name.endswith("running_var"):
                drawn = rng.uniform(0.5, 1.5, shape)
            elif "bias" in name or name.endswith("running_mean"):
                drawn = rng.normal(0, 0.3, shape)
            elif tensor.ndim == 1:
                drawn = rng.uniform(0.7, 1.3, shape) * np.where(rng.random(shape) < 0.2, -1, 1)
            else:
                drawn = rng.normal(0, 1.4 / np.sqrt(np.prod(shape[1:])), shape)
            tensor.copy_(torch.from_numpy(drawn))


def linear(source: nn.Linear) -> list[np.ndarray]:
    """(out, in) becomes (in, out)."""
    kernel = array(source.weight).T
    return [kernel] if source.bias is None else [kernel, array(source.bias)]


def flattened(source: nn.Linear, *sizes: int) -> list[np.ndarray]:
    """A linear layer behind a feature map of sizes (channels, *space), which Keras flattens with the channels last."""
    weight, *bias = linear(source)
    kernel = np.moveaxis(weight.reshape(*sizes, -1), 0, -2)
    return [kernel.reshape(weight.shape), *bias]


def convolution(source: nn.Module) -> list[np.ndarray]:
    """(out, in, *space) becomes (*space, in, out); (in, out, *space) of a transposed one becomes (*space, out, in)."""
    kernel = np.moveaxis(array(source.weight), (0, 1), (-1, -2))
    return [kernel] if source.bias is None else [kernel, array(source.bias)]


def depthwise(source: nn.Module) -> list[np.ndarray]:
    """(channels, 1, *space) becomes (*space, channels, 1)."""
    kernel = np.moveaxis(array(source.weight), (0, 1), (-2, -1))
    return [kernel] if source.bias is None else [kernel, array(source.bias)]


def norm(source: nn.Module) -> list[np.ndarray]:
    """Gamma and beta, and a batch normalisation's mean and variance."""
    own = [source.weight, getattr(source, "bias", None)]
    own += [getattr(source, "running_mean", None), getattr(source, "running_var", None)]
    return [array(tensor) for tensor in own if tensor is not None]


def lstm(source: nn.LSTM, suffix: str = "l0") -> list[np.ndarray]:
    """The gates have one order in both; two biases become their sum."""
    kernel, recurrent, one, other = recurrent_weights(source, suffix)
    return [kernel.T, recurrent.T, one + other]


def gru(source: nn.GRU, suffix: str = "l0") -> list[np.ndarray]:
    """PyTorch's reset, update, new become Keras's update, reset, new; both biases stay."""
    kernel, recurrent, one, other = (swapped_gates(weight) for weight in recurrent_weights(source, suffix))
    return [kernel.T, recurrent.T, np.stack([one, other])]


def recurrent_weights(source: nn.RNNBase, suffix: str) -> list[np.ndarray]:
    """Both kernels and both biases, as PyTorch has them."""
    return [array(getattr(source, f"{word}_{suffix}")) for word in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]


def swapped_gates(weight: np.ndarray) -> np.ndarray:
    """The first two of three gates change places."""
    first, second, third = np.split(weight, 3)
    return np.concatenate([second, first, third])


def projection(weight: np.ndarray, bias: np.ndarray, heads: int) -> list[np.ndarray]:
    """A query, key or value projection (out, in) for `keras.layers.MultiHeadAttention`: (in, heads, depth)."""
    depth = len(bias) // heads
    return [weight.T.reshape(-1, heads, depth), bias.reshape(heads, depth)]


def attention(source: nn.MultiheadAttention, heads: int | None = None) -> list[np.ndarray]:
    """The packed projections of PyTorch, as the eight weights of `keras.layers.MultiHeadAttention`."""
    heads = heads or source.num_heads
    weights, biases = np.split(array(source.in_proj_weight), 3), np.split(array(source.in_proj_bias), 3)
    split = [one for weight, bias in zip(weights, biases, strict=True) for one in projection(weight, bias, heads)]
    output = array(source.out_proj.weight).T.reshape(heads, -1, source.embed_dim)
    return [*split, output, array(source.out_proj.bias)]
