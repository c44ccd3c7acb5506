"""Mistakes in porting a multi-layer perceptron."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import torch
import torch.nn.functional as F
from diglot.core import registry
from diglot.torch_impl.techniques.batch_norm import biased
from keras import ops

from . import ModelBug

SMALL = registry.make("mlp_small")
GELU = registry.make("mlp_small_gelu")
SIGMOID = registry.make("mlp_small_gelu", activation="sigmoid")
IMAGE = registry.make("mlp_small_image")
SQUARE = registry.make("mlp", input_shape=(8,), hidden_dims=(8, 8), output_dim=5)


@partial(ModelBug, "batch norm epsilon 0.1% too large", SMALL, "torch", "forward", "hidden.1.norm")
def larger_epsilon(model: Any) -> None:
    model.hidden[1].norm.eps *= 1.001


@partial(ModelBug, "batch norm epsilon left at the Keras default", SMALL, "keras", "forward", "hidden.0.norm")
def default_epsilon(model: Any) -> None:
    model.hidden[0].norm.epsilon = 1e-3


@partial(ModelBug, "batch norm momentum taken for its complement", SMALL, "keras", "forward_training", "hidden.0.norm")
def complementary_momentum(model: Any) -> None:
    model.hidden[0].norm.momentum = 1 - model.hidden[0].norm.momentum


@partial(ModelBug, "batch norm momentum left at the Keras default", SMALL, "keras", "training", "hidden.1.norm")
def default_momentum(model: Any) -> None:
    model.hidden[1].norm.momentum = 0.99


@partial(ModelBug, "running variance divided by n by the native layer", SMALL, "keras", "training", "hidden.0.norm")
def native_running_variance(model: Any) -> None:
    norm = model.hidden[0].norm

    def call(x: Any, training: bool = False) -> Any:
        return keras.layers.BatchNormalization.call(norm, x, training=training)

    norm.call = call


@partial(ModelBug, "running variance divided by n", SMALL, "torch", "forward_training", "hidden.1.norm")
def biased_running_variance(model: Any) -> None:
    norm = model.hidden[1].norm
    original = norm.forward
    norm.forward = lambda x: biased(norm, x) if norm.training else original(x)


@partial(ModelBug, "batch normalised by the unbiased variance", SMALL, "torch", "gradients", "hidden.1.norm")
def unbiased_batch_variance(model: Any) -> None:
    norm = model.hidden[1].norm
    original = norm.forward

    def forward(x: torch.Tensor) -> torch.Tensor:
        result = original(x)
        if not norm.training:
            return result
        variance, mean = torch.var_mean(x, dim=0)
        return (x - mean) / torch.sqrt(variance + norm.eps) * norm.weight + norm.bias

    norm.forward = forward


@partial(ModelBug, "GELU by tanh for the exact one", GELU, "keras", "forward", "hidden.1.activation")
def tanh_gelu(model: Any) -> None:
    model.hidden[1].activation.approximate = True


@partial(ModelBug, "GELU by the default of ops.gelu", GELU, "keras", "gradients", "hidden.0.activation")
def function_gelu(model: Any) -> None:
    model.hidden[0].activation.call = lambda x: ops.gelu(x)


@partial(ModelBug, "GELU by a sigmoid", GELU, "torch", "forward", "hidden.0.activation")
def sigmoid_gelu(model: Any) -> None:
    model.hidden[0].activation.forward = lambda x: x * torch.sigmoid(1.702 * x)


@partial(ModelBug, "GELU by the native exact layer's float32 root", GELU, "keras", "forward", "hidden.1.activation")
def native_gelu(model: Any) -> None:
    model.hidden[1].activation.call = lambda x: ops.gelu(x, approximate=False)


@partial(ModelBug, "hard sigmoid for the sigmoid", SIGMOID, "keras", "forward", "hidden.1.activation")
def hard_sigmoid(model: Any) -> None:
    model.hidden[1].activation.call = lambda x: ops.hard_sigmoid(x)


@partial(ModelBug, "tanh for the sigmoid", SIGMOID, "torch", "forward", "hidden.0.activation")
def tanh_for_sigmoid(model: Any) -> None:
    model.hidden[0].activation.forward = torch.tanh


@partial(ModelBug, "leaky slope 0.1% too large", IMAGE, "torch", "forward", "hidden.0.activation")
def larger_slope(model: Any) -> None:
    model.hidden[0].activation.negative_slope *= 1.001


@partial(ModelBug, "leaky slope left at the Keras default", IMAGE, "keras", "forward", "hidden.0.activation")
def default_slope(model: Any) -> None:
    model.hidden[0].activation.negative_slope = 0.3


@partial(ModelBug, "dropout without its scale", SMALL, "torch", "forward_training", "hidden.0.dropout")
def unscaled_dropout(model: Any) -> None:
    dropout = model.hidden[0].dropout
    original = dropout.forward
    dropout.forward = lambda x: original(x) * (1 - dropout.p) if dropout.training else x


@partial(ModelBug, "keep probability for the drop probability", IMAGE, "keras", "forward_training", "hidden.0.dropout")
def keep_probability(model: Any) -> None:
    model.hidden[0].dropout.rate = 1 - model.hidden[0].dropout.rate


@partial(ModelBug, "dropout scaled again in evaluation", SMALL, "keras", "forward", "hidden.1.dropout")
def scaled_in_evaluation(model: Any) -> None:
    dropout = model.hidden[1].dropout
    original = dropout.call

    def call(x: Any, training: bool = False) -> Any:
        return original(x, training=True) if training else x * (1 - dropout.rate)

    dropout.call = call


@partial(ModelBug, "dropout in evaluation too", SMALL, "torch", "forward", "hidden.1.dropout")
def dropout_in_evaluation(model: Any) -> None:
    dropout = model.hidden[1].dropout
    dropout.forward = lambda x: F.dropout(x, dropout.p, training=True)


@partial(ModelBug, "dropout always on", IMAGE, "keras", "forward", "hidden.0.dropout")
def dropout_always_on(model: Any) -> None:
    dropout = model.hidden[0].dropout
    original = dropout.call

    def call(x: Any, training: bool = False) -> Any:
        return original(x, training=True)

    dropout.call = call


@partial(ModelBug, "channels last in the flattening", IMAGE, "torch", "forward", "flatten")
def channels_last_flatten(model: Any) -> None:
    model.flatten.forward = lambda x: x.permute(0, 2, 3, 1).flatten(1)


@partial(ModelBug, "channels first in the flattening", IMAGE, "keras", "gradients", "flatten")
def channels_first_flatten(model: Any) -> None:
    model.flatten.call = lambda x: ops.reshape(ops.transpose(x, (0, 3, 1, 2)), (x.shape[0], -1))


@partial(ModelBug, "head without a bias", SMALL, "torch", "structure", "head")
def head_without_bias(model: Any) -> None:
    model.head.bias = None


@partial(ModelBug, "hidden layer without a bias", SMALL, "keras", "structure", "hidden.0.dense")
def hidden_layer_without_bias(model: Any) -> None:
    model.hidden[0].dense.use_bias = False
    model.hidden[0].dense.bias = None


@partial(ModelBug, "head one class too wide", SMALL, "torch", "structure", "head")
def wider_head(model: Any) -> None:
    model.head = torch.nn.Linear(model.head.in_features, model.head.out_features + 1, dtype=torch.float64)


@partial(ModelBug, "transposed square kernel", SQUARE, "torch", "forward", "hidden.1.dense")
def transposed_kernel(model: Any) -> None:
    dense = model.hidden[1].dense
    dense.forward = lambda x: F.linear(x, dense.weight.T, dense.bias)


@partial(ModelBug, "kernel in the layout of the other framework", SQUARE, "keras", "gradients", "hidden.0.dense")
def transposed_first_kernel(model: Any) -> None:
    dense = model.hidden[0].dense
    dense.call = lambda x, training=None: x @ ops.transpose(dense.kernel) + dense.bias


@partial(ModelBug, "activation before the normalisation", SMALL, "keras", "forward", "hidden.0")
def activation_before_norm(model: Any) -> None:
    layer = model.hidden[0]

    def call(x: Any, training: bool = False) -> Any:
        x = layer.norm(layer.activation(layer.dense(x)), training=training)
        return layer.dropout(x, training=training)

    layer.call = call


@partial(ModelBug, "dropout before the normalisation", SMALL, "torch", "forward_training", "hidden.1")
def dropout_before_norm(model: Any) -> None:
    layer = model.hidden[1]
    layer.forward = lambda x: layer.activation(layer.norm(layer.dropout(layer.dense(x))))


@partial(ModelBug, "activation forgotten", SQUARE, "torch", "forward", "hidden.1")
def activation_forgotten(model: Any) -> None:
    layer = model.hidden[1]
    layer.forward = lambda x: layer.dropout(layer.norm(layer.dense(x)))


@partial(ModelBug, "activation on the head", SQUARE, "keras", "forward", "mlp")
def activation_on_head(model: Any) -> None:
    original = model.call
    model.call = lambda features, training=False: ops.relu(original(features, training=training))


@partial(ModelBug, "softmax in the network, whose output should be logits", SMALL, "torch", "forward", "mlp")
def softmax_in_network(model: Any) -> None:
    original = model.forward
    model.forward = lambda features: torch.softmax(original(features), dim=-1)


BUGS = tuple(found for found in vars().values() if isinstance(found, ModelBug))
