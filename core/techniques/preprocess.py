"""Preprocessing of photographs: resize, crop the centre, normalise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..field import choice, flag, numbers, positive, whole
from ..resample import resize
from ..technique import Arrays, Technique


@dataclass(frozen=True, kw_only=True)
class Preprocess(Technique):
    """Photographs become what a network that was trained on ImageNet expects.

    Source: He et al., "Deep residual learning for image recognition", CVPR 2016, section 3.4 (shorter side 256, a crop
    of 224; in testing the centre one). The means and deviations are those of the ImageNet training set, in red, green
    and blue, as PyTorch's model zoo states them.

    The built layer takes photographs of any size, float or whole numbers from 0 to 255, and gives floats, both in the
    framework's own layout of (batch, height, width, channels): the shorter side becomes `resize_size` pixels and the
    longer one keeps its proportion, rounded down; then comes a crop of `crop_size` pixels around the centre (a half
    pixel is rounded to the even one), and (x * scale - mean) / deviation for each channel.

    Fields:
        resize_size: of the shorter side, in pixels.
        crop_size: height and width of the result, in pixels.
        interpolation: `bilinear` or `bicubic`.
        antialias: widen the filter where the image shrinks, so that every pixel counts.
        scale: factor on the pixel's value.
        mean, deviation: of each channel, after scaling, in the order of the result.
        channel_order: of the result, `rgb` or `bgr`; photographs are given as red, green, blue.

    The defaults are those of torchvision's first weights and, in mean and deviation, of most. What a set of weights was
    trained on is said where it comes from, and that counts: torchvision's second ResNets resize to 232 pixels, its
    Inception v3 to 342 with a crop of 299 (`weights.transforms()`); timm's are bicubic with crops of their own, and its
    Vision Transformers have a mean and a deviation of 0.5 (`pretrained_cfg`). `preprocess_caffe`, `preprocess`
    and `preprocess_symmetric` have the means and deviations of keras.applications' ResNets, DenseNets and Inception v3;
    `preprocess_timm_vit` is that of timm's Vision Transformers at 224 pixels.

    Keras must know the size of the photographs when a model is made of the layer; PyTorch need not.

    Raises SpecError for a crop larger than the resized side, and for a deviation that is not above 0.

    Frameworks differ: torchvision resizes a PIL image with antialiasing and rounds to whole numbers after each axis;
    `torch.nn.functional.interpolate` and `keras.ops.image.resize` do neither unless told, and TensorFlow resizes in
    float32 whatever it is given, so the Keras sibling multiplies by the matrices themselves in float64.
    """

    resize_size: int = whole(256)
    crop_size: int = whole(224)
    interpolation: str = choice("bilinear", "bicubic")
    antialias: bool = flag(True)
    scale: float = positive(1 / 255)
    mean: tuple[float, ...] = numbers((0.485, 0.456, 0.406))
    deviation: tuple[float, ...] = numbers((0.229, 0.224, 0.225))
    channel_order: str = choice("rgb", "bgr")

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "preprocess_caffe": {
            "scale": 1.0,
            "mean": (103.939, 116.779, 123.68),
            "deviation": (1.0, 1.0, 1.0),
            "channel_order": "bgr",
        },
        "preprocess_timm_vit": {
            "resize_size": 248,
            "interpolation": "bicubic",
            "mean": (0.5, 0.5, 0.5),
            "deviation": (0.5, 0.5, 0.5),
        },
        "preprocess_symmetric": {
            "resize_size": 342,
            "crop_size": 299,
            "mean": (0.5, 0.5, 0.5),
            "deviation": (0.5, 0.5, 0.5),
        },
        "preprocess_small": {"resize_size": 16, "crop_size": 13},
        "preprocess_small_bicubic": {
            "resize_size": 12,
            "crop_size": 11,
            "interpolation": "bicubic",
            "channel_order": "bgr",
        },
        "preprocess_small_aliased": {"resize_size": 41, "crop_size": 32, "antialias": False},
    }
    CHECKED = tuple(name for name in PRESETS if "small" in name)

    def constraints(self) -> Iterator[str]:
        if self.crop_size > self.resize_size:
            yield f"crop_size {self.crop_size} is larger than resize_size {self.resize_size}"
        if min(self.deviation) <= 0:
            yield f"deviation {self.deviation} must be above 0 in every channel"

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """Height and width after resizing."""
        short, long = sorted((height, width))
        other = self.resize_size * long // short
        return (self.resize_size, other) if height <= width else (other, self.resize_size)

    def corner(self, height: int, width: int) -> tuple[int, int]:
        """The first row and column of the crop of a resized image."""
        return round((height - self.crop_size) / 2), round((width - self.crop_size) / 2)

    def case(self, rng: np.random.Generator) -> Arrays:
        """Two images (batch, height, width, channels) that shrink in height and in width, at an odd proportion."""
        return {"images": rng.uniform(0, 255, (2, 37, 29, 3))}

    def rule(self, case: Arrays) -> Arrays:
        images = case["images"]
        height, width = self.resized(*images.shape[1:3])
        x = resize(images, height, width, method=self.interpolation, antialias=self.antialias)
        top, left = self.corner(height, width)
        x = x[:, top : top + self.crop_size, left : left + self.crop_size]
        x = x[..., ::-1] if self.channel_order == "bgr" else x
        return {"result": (x * self.scale - np.array(self.mean)) / np.array(self.deviation)}
