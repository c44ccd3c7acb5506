"""The same numbers in another order, whatever moved them."""

from __future__ import annotations

import itertools

import numpy as np

from .found import Array, axes_names, digits

LARGEST = 1_000_000  # elements that are put in order to find out


def in_another_order(one: Array, other: Array, least: float) -> str:
    """Along which axes two arrays hold the same numbers in another order: "along channels"; nothing if they do not.

    Both are in Keras's layout. The fewest axes are told. `least` is the number of digits that must agree.
    """
    if one.size != other.size or not 1 < one.size <= LARGEST or digits(_sorted(one), _sorted(other)) < least:
        return ""
    if one.shape != other.shape or digits(one, other) >= least:
        return "in another shape and order" if one.shape != other.shape else ""
    for count in range(1, one.ndim):
        for axes in itertools.combinations(range(one.ndim), count):
            if digits(_sorted(one, axes), _sorted(other, axes)) >= least:
                return f"in another order along {axes_names(axes, one.ndim)}"
    return "in another order"


def _sorted(array: Array, axes: tuple[int, ...] | None = None) -> Array:
    """The numbers along some axes, or all of them, from the smallest to the largest."""
    if axes is None:
        return np.sort(np.asarray(array, np.float64), axis=None)
    kept = [axis for axis in range(array.ndim) if axis not in axes]
    turned = np.asarray(array, np.float64).transpose(*kept, *axes)
    return np.sort(turned.reshape(*(array.shape[axis] for axis in kept), -1), axis=-1)
