"""Mistakes in porting GoogLeNet. Those within a module are with the Inception module."""

from __future__ import annotations

from functools import partial
from typing import Any

from diglot.core import registry
from keras import ops

from . import ModelBug

# Of 33 pixels the poolings see 17, 8, 4 and 2; of 48 they see 24, 12, 6 and 3, and so do the auxiliary heads.
SMALL = registry.make("inception_small", width=0.0625)
LARGER = SMALL.replace(image_size=48)
FLOORED = registry.make("inception_small_features", width=0.0625, image_size=61)


@partial(ModelBug, "ceil mode off", LARGER, "torch", "forward", "maxpool2")
def rounded_down(model: Any) -> None:
    model.maxpool2.ceil_mode = False


@partial(ModelBug, "ceil mode where there is none", FLOORED, "torch", "forward", "maxpool4")
def rounded_up(model: Any) -> None:
    model.maxpool4.ceil_mode = True


@partial(ModelBug, "'same' padding for ceil mode", SMALL, "keras", "forward", "maxpool1")
def same_pooling(model: Any) -> None:
    model.maxpool1.call = lambda x: ops.max_pool(x, 3, strides=2, padding="same")


@partial(ModelBug, "ceil mode that pads on the top and left", LARGER, "keras", "forward", "maxpool2")
def padded_before(model: Any) -> None:
    model.maxpool2.call = lambda x: ops.max_pool(ops.pad(x, [[0, 0], [1, 0], [1, 0], [0, 0]]), 3, strides=2)


@partial(ModelBug, "colours of the transformation swapped", SMALL, "torch", "forward", "transform")
def swapped_colours(model: Any) -> None:
    model.transform.scale, model.transform.shift = model.transform.scale.flip(0), model.transform.shift.flip(0)


@partial(ModelBug, "transformation without its shift", SMALL, "keras", "forward", "transform")
def no_shift(model: Any) -> None:
    original = model.transform.call
    model.transform.call = lambda x: original(x) - original(0 * x)


@partial(ModelBug, "auxiliary outputs in torchvision's order", SMALL, "torch", "forward", "inception")
def second_first(model: Any) -> None:
    original = model.forward
    model.forward = lambda x: tuple(original(x)[place] for place in (0, 2, 1))


@partial(ModelBug, "auxiliary head dropped from the loss", SMALL, "torch", "gradients", "aux1")
def dropped(model: Any) -> None:
    original = model.aux1.forward
    model.aux1.forward = lambda x: original(x).detach() + 0 * original(x)


@partial(ModelBug, "auxiliary head that does not reach the trunk", SMALL, "keras", "gradients", "aux2")
def not_reaching_the_trunk(model: Any) -> None:
    original = model.aux2.call
    model.aux2.call = lambda x, training=False: original(ops.stop_gradient(x), training=training)


@partial(ModelBug, "auxiliary head weighed like the logits", SMALL, "keras", "gradients", "aux1")
def unweighted(model: Any) -> None:
    original, more = model.aux1.call, 1 / model.spec.aux_weight - 1

    def call(x: Any, training: bool = False) -> Any:
        y = original(x, training=training)
        return y + more * (y - ops.stop_gradient(y))

    model.aux1.call = call


@partial(ModelBug, "adaptive windows that do not overlap", LARGER, "keras", "forward", "aux1.pool")
def apart(model: Any) -> None:
    places = [0, 0, 1, 2]  # of three pixels; the windows are 0, 0 to 1, 1 to 2, and 2
    model.aux1.pool.call = lambda x: ops.take(ops.take(x, places, axis=1), places, axis=2)


@partial(ModelBug, "auxiliary head flattened channels first", SMALL, "keras", "forward", "aux1")
def channels_first(model: Any) -> None:
    original = model.aux1.flatten.call
    model.aux1.flatten.call = lambda x: original(ops.transpose(x, (0, 3, 1, 2)))


@partial(ModelBug, "auxiliary head with the head's dropout", SMALL, "torch", "forward_training", "aux1.dropout")
def dropout_of_the_head(model: Any) -> None:
    model.aux1.dropout.p = model.dropout.p


@partial(ModelBug, "last pooling with the window of the others", FLOORED, "torch", "forward", "maxpool4")
def larger_window(model: Any) -> None:
    model.maxpool4.kernel_size = 3


BUGS = tuple(found for found in vars().values() if isinstance(found, ModelBug))
