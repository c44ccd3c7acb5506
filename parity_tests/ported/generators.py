"""Networks that make pictures: an autoencoder, a VAE's encoder, a GAN's generator, style transfer, super-resolution."""

from __future__ import annotations

from typing import Any

import keras
import torch
import torch.nn.functional as F
from keras import Input, Model, Sequential, layers, ops
from torch import nn

from . import Pair
from .weights import array, convolution, flattened, linear, norm


class Autoencoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 6, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(24, 5)
        )
        self.decoder = nn.Sequential(
            nn.Linear(5, 24), nn.Unflatten(1, (6, 2, 2)), nn.ConvTranspose2d(6, 4, 4, 2, 1), nn.ReLU(),
            nn.ConvTranspose2d(4, 1, 4, 2, 1), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decoder(self.encoder(x))


def autoencoder(*, act: str = "sigmoid") -> Model:
    """Two models in one. A transposed convolution of four with stride two is 'same' in both frameworks."""
    encoder = Sequential(
        [
            Input((8, 8, 1)),
            layers.ZeroPadding2D(1),
            layers.Conv2D(4, 3, 2, activation="relu", name="down_1"),
            layers.ZeroPadding2D(1),
            layers.Conv2D(6, 3, 2, activation="relu", name="down_2"),
            layers.Flatten(),
            layers.Dense(5, name="code"),
        ],
        name="encoder",
    )
    decoder = Sequential(
        [
            Input((5,)),
            layers.Dense(24, name="start"),
            layers.Reshape((2, 2, 6)),
            layers.Conv2DTranspose(4, 4, 2, padding="same", activation="relu", name="up_1"),
            layers.Conv2DTranspose(1, 4, 2, padding="same", activation=act, name="up_2"),
        ],
        name="decoder",
    )
    picture = Input((8, 8, 1))
    return Model(picture, decoder(encoder(picture)))


def unflattened(source: nn.Linear, *sizes: int) -> list[Any]:
    """The other way round: the outputs are a feature map."""
    kernel, bias = linear(source)
    kernel = kernel.reshape(-1, *sizes).transpose(0, 2, 3, 1).reshape(kernel.shape)
    return [kernel, bias.reshape(sizes).transpose(1, 2, 0).reshape(-1)]


def load_autoencoder(source: Any, target: Any) -> None:
    encoder, decoder = target.get_layer("encoder"), target.get_layer("decoder")
    encoder.get_layer("down_1").set_weights(convolution(source.encoder[0]))
    encoder.get_layer("down_2").set_weights(convolution(source.encoder[2]))
    encoder.get_layer("code").set_weights(flattened(source.encoder[5], 6, 2, 2))
    decoder.get_layer("start").set_weights(unflattened(source.decoder[0], 6, 2, 2))
    decoder.get_layer("up_1").set_weights(convolution(source.decoder[2]))
    decoder.get_layer("up_2").set_weights(convolution(source.decoder[4]))


def load_start_as_it_is(source: Any, target: Any) -> None:
    """The dense layer before the feature map has to be permuted as well."""
    load_autoencoder(source, target)
    target.get_layer("decoder").get_layer("start").set_weights(linear(source.decoder[0]))


class Encoder(nn.Module):
    """A VAE's: mean and logarithm of the variance from one trunk."""

    def __init__(self) -> None:
        super().__init__()
        self.logvar, self.mu = nn.Linear(8, 3), nn.Linear(8, 3)
        self.trunk = nn.Sequential(nn.Linear(10, 8), nn.BatchNorm1d(8), nn.LeakyReLU())

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = self.trunk(x)
        return self.mu(hidden), self.logvar(hidden).clamp(-2, 2)


def encoder(*, swapped: bool = False, slope: float = 0.01, clipped: bool = True) -> Model:
    x = Input((10,))
    hidden = layers.Dense(8, name="hidden")(x)
    hidden = layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name="hidden_bn")(hidden)
    hidden = layers.LeakyReLU(negative_slope=slope, name="hidden_act")(hidden)
    mean, variance = layers.Dense(3, name="z_mean")(hidden), layers.Dense(3, name="z_log_var")(hidden)
    variance = ops.clip(variance, -2, 2) if clipped else variance
    return Model(x, [variance, mean] if swapped else [mean, variance])


def load_encoder(source: Any, target: Any) -> None:
    target.get_layer("hidden").set_weights(linear(source.trunk[0]))
    target.get_layer("hidden_bn").set_weights(norm(source.trunk[1]))
    target.get_layer("z_mean").set_weights(linear(source.mu))
    target.get_layer("z_log_var").set_weights(linear(source.logvar))


class Generator(nn.Module):
    """A DCGAN's: from noise and a class."""

    def __init__(self) -> None:
        super().__init__()
        self.label = nn.Embedding(4, 3)
        self.main = nn.Sequential(
            nn.ConvTranspose2d(6, 6, 4, 1, 0, bias=False), nn.BatchNorm2d(6), nn.ReLU(True),
            nn.ConvTranspose2d(6, 3, 3, 2, 1, output_padding=1), nn.Tanh(),
        )  # fmt: skip

    def forward(self, noise: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        x = torch.cat([noise, self.label(label)], 1)
        return self.main(x[:, :, None, None])


def generator(*, label_first: bool = False, crop: Any = ((1, 0), (1, 0)), act: str = "tanh") -> Model:
    noise, label = Input((3,), name="noise"), Input((), dtype="int64", name="label")
    own = layers.Embedding(4, 3, name="class_embedding")(label)
    x = layers.Concatenate(name="latent")([own, noise] if label_first else [noise, own])
    x = layers.Reshape((1, 1, 6), name="latent_map")(x)
    x = layers.Conv2DTranspose(6, 4, use_bias=False, name="project")(x)
    x = layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name="project_bn")(x)
    x = layers.ReLU(name="project_relu")(x)
    x = layers.Cropping2D(crop, name="crop")(layers.Conv2DTranspose(3, 3, 2, name="to_rgb")(x))
    return Model({"noise": noise, "label": label}, layers.Activation(act, name="rgb")(x))


def load_generator(source: Any, target: Any) -> None:
    target.get_layer("class_embedding").set_weights([array(source.label.weight)])
    target.get_layer("project").set_weights(convolution(source.main[0]))
    target.get_layer("project_bn").set_weights(norm(source.main[1]))
    target.get_layer("to_rgb").set_weights(convolution(source.main[3]))


class Style(nn.Module):
    """Instance normalisation, mirrored borders, and upsampling."""

    def __init__(self, *, aligned: bool = False) -> None:
        super().__init__()
        self.aligned = aligned
        self.norm1, self.norm2 = nn.InstanceNorm2d(4, affine=True), nn.InstanceNorm2d(4, affine=True)
        self.conv1, self.conv2 = nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), nn.Conv2d(4, 4, 3, padding=1)
        self.out = nn.Conv2d(4, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.norm1(self.conv1(x)))
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=self.aligned)
        x = F.relu(self.norm2(self.conv2(x)))
        return torch.tanh(self.out(F.interpolate(x, scale_factor=2)))


@keras.saving.register_keras_serializable("generators")
class Reflect(layers.Layer):
    """One row and column on each side, mirrored."""

    def call(self, x: Any) -> Any:
        return ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")


def style(*, first: str = "bilinear", second: str = "nearest", reflect: bool = True, epsilon: float = 1e-5) -> Model:
    picture = Input((6, 7, 3))
    border = Reflect(name="border") if reflect else layers.ZeroPadding2D(1, name="border")
    x = layers.Conv2D(4, 3, name="c1")(border(picture))
    x = layers.ReLU(name="r1")(layers.GroupNormalization(groups=-1, epsilon=1e-5, name="in1")(x))
    x = layers.UpSampling2D(2, interpolation=first, name="larger")(x)
    x = layers.Conv2D(4, 3, padding="same", name="c2")(x)
    x = layers.ReLU(name="r2")(layers.GroupNormalization(groups=-1, epsilon=epsilon, name="in2")(x))
    x = layers.UpSampling2D(2, interpolation=second, name="largest")(x)
    return Model(picture, layers.Conv2D(3, 1, activation="tanh", name="rgb")(x))


def load_style(source: Any, target: Any) -> None:
    for name, ours in {"c1": source.conv1, "c2": source.conv2, "rgb": source.out}.items():
        target.get_layer(name).set_weights(convolution(ours))
    target.get_layer("in1").set_weights(norm(source.norm1))
    target.get_layer("in2").set_weights(norm(source.norm2))


class SuperResolution(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.extract, self.upscale = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 8, 3, padding=1)
        self.shuffle = nn.PixelShuffle(2)
        self.refine = nn.Conv2d(2, 1, 1)
        self.act = nn.PReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.refine(self.shuffle(self.upscale(self.act(self.extract(x)))))


@keras.saving.register_keras_serializable("generators")
class DepthToSpace(layers.Layer):
    """PyTorch's order has the channel before the offset; `naive` is TensorFlow's, with the channel behind it."""

    def __init__(self, naive: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.naive = naive

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "naive": self.naive}

    def call(self, x: Any) -> Any:
        _, height, width, channels = x.shape
        sizes = (-1, height, width, 2, 2, channels // 4) if self.naive else (-1, height, width, channels // 4, 2, 2)
        order = (0, 1, 3, 2, 4, 5) if self.naive else (0, 1, 4, 2, 5, 3)
        return ops.reshape(ops.transpose(ops.reshape(x, sizes), order), (-1, 2 * height, 2 * width, channels // 4))


def super_resolution(*, naive: bool = False) -> Model:
    return Sequential(
        [
            Input((6, 5, 1)),
            layers.Conv2D(6, 5, padding="same", name="features"),
            layers.PReLU(shared_axes=[1, 2, 3], name="prelu"),
            layers.Conv2D(8, 3, padding="same", name="subpixels"),
            DepthToSpace(naive, name="depth_to_space"),
            layers.Conv2D(1, 1, name="luminance"),
        ]
    )


def load_super_resolution(source: Any, target: Any) -> None:
    for name, ours in {"features": source.extract, "subpixels": source.upscale, "luminance": source.refine}.items():
        target.get_layer(name).set_weights(convolution(ours))
    target.get_layer("prelu").set_weights([array(source.act.weight).reshape(1, 1, 1)])


def pictures(*sizes: int) -> Any:
    return lambda rng: [rng.normal(size=(2, *sizes)).astype("float32")]


AUTOENCODER = Pair("autoencoder", Autoencoder, autoencoder, pictures(8, 8, 1), load_autoencoder)
ENCODER = Pair("vae encoder", Encoder, encoder, pictures(10), load_encoder)
GENERATOR = Pair(
    "generator",
    Generator,
    generator,
    lambda rng: {"noise": rng.normal(size=(3, 3)).astype("float32"), "label": rng.integers(0, 4, 3)},
    load_generator,
)
STYLE = Pair("style", Style, style, pictures(6, 7, 3), load_style)
SUPER = Pair("super-resolution", SuperResolution, super_resolution, pictures(6, 5, 1), load_super_resolution)

PAIRS = (
    AUTOENCODER,
    AUTOENCODER.but(
        "dense layer before a feature map not permuted",
        "decoder.0|decoder/start",
        "flatten|channels height width",
        load=load_start_as_it_is,
    ),
    AUTOENCODER.but(
        "sigmoid left out",
        "decoder.5|decoder/up_2:activation|decoder/up_2",
        "sigmoid",
        keras=lambda: autoencoder(act="linear"),
    ),
    ENCODER,
    ENCODER.but(
        "outputs swapped",
        "mu|logvar|z_mean|z_log_var|:clamp#0",
        "swapped|order|`logvar",
        keras=lambda: encoder(swapped=True),
    ),
    ENCODER.but("leaky slope", "trunk.2|hidden_act", "slope", keras=lambda: encoder(slope=0.3), by="factories"),
    ENCODER.but(
        "variance not clipped",
        ":clamp#0|z_log_var|logvar|clip",
        "clamp|clip",
        keras=lambda: encoder(clipped=False),
        by="transfer",
    ),
    GENERATOR,
    GENERATOR.but("label before noise", ":cat#0|latent", "order|concat", keras=lambda: generator(label_first=True)),
    GENERATOR.but(
        "cropped on the other side",
        "main.3|crop|to_rgb",
        "padding|crop",
        keras=lambda: generator(crop=((0, 1), (0, 1))),
        by="transfer",
    ),
    GENERATOR.but("sigmoid for tanh", "main.4|rgb", "tanh", keras=lambda: generator(act="sigmoid"), by="factories"),
    STYLE,
    STYLE.but(
        "nearest for bilinear",
        ":interpolate#0|larger",
        "nearest|bilinear|method",
        keras=lambda: style(first="nearest"),
        by="transfer",
    ),
    STYLE.but("corners aligned", ":interpolate#0|larger", "align", torch=lambda: Style(aligned=True), by="transfer"),
    STYLE.but("zeros for a mirrored border", "conv1|border|c1", "pad|reflect", keras=lambda: style(reflect=False)),
    STYLE.but("instance norm epsilon", "norm2|in2", "epsilon", keras=lambda: style(epsilon=1e-3), by="factories"),
    SUPER,
    SUPER.but(
        "pixels shuffled in another order",
        "shuffle|depth_to_space|depth_to_space:reshape#1|depth_to_space:transpose#0",
        "order|shuffle|permut|swapped",
        keras=lambda: super_resolution(naive=True),
    ),
)
