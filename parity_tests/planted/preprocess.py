"""Mistakes in porting the preprocessing of photographs."""

from __future__ import annotations

from functools import partial
from typing import Any

from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

SMALL = registry.make("preprocess_small")
CUBIC = registry.make("preprocess_small_bicubic")
ALIASED = registry.make("preprocess_small_aliased")


@partial(TechniqueBug, "antialiasing left off", SMALL, "keras")
def antialiasing_off(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(antialias=False), case)


@partial(TechniqueBug, "antialiasing left on", ALIASED, "torch")
def antialiasing_on(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(antialias=True, interpolation="bicubic"), case)


@partial(TechniqueBug, "bilinear for bicubic", CUBIC, "torch")
def bilinear(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(interpolation="bilinear"), case)


@partial(TechniqueBug, "crop around a centre rounded down", SMALL, "torch")
def crop_rounded_down(true: Any, spec: Any, case: Arrays) -> Arrays:
    class Down(type(spec)):  # type: ignore[misc]
        __module__ = type(spec).__module__

        def corner(self, height: int, width: int) -> tuple[int, int]:
            top, left = super().corner(height, width)
            return top - 1, left

    return true(Down(**spec.fields()), case)


@partial(TechniqueBug, "both sides resized to the size of the shorter", CUBIC, "torch")
def proportion_lost(true: Any, spec: Any, case: Arrays) -> Arrays:
    class Square(type(spec)):  # type: ignore[misc]
        __module__ = type(spec).__module__

        def resized(self, height: int, width: int) -> tuple[int, int]:
            return self.resize_size, self.resize_size

    return true(Square(**spec.fields()), case)


@partial(TechniqueBug, "channels in the order of the photograph", CUBIC, "keras")
def channels_not_swapped(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(channel_order="rgb"), case)


@partial(TechniqueBug, "mean and deviation not swapped with the channels", CUBIC, "torch")
def statistics_swapped(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(mean=spec.mean[::-1], deviation=spec.deviation[::-1]), case)


@partial(TechniqueBug, "pixels divided by 256", SMALL, "keras")
def divided_by_256(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(scale=1 / 256), case)


@partial(TechniqueBug, "pixels rounded to whole numbers after resizing", ALIASED, "keras")
def rounded_pixels(true: Any, spec: Any, case: Arrays) -> Arrays:
    plain = spec.replace(scale=1.0, mean=(0.0,) * 3, deviation=(1.0,) * 3)
    pixels = true(plain, case)["result"].round()
    return {"result": (pixels * spec.scale - spec.mean) / spec.deviation}


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
