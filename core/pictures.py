"""What a technique for pictures asks of its input."""

from __future__ import annotations

from collections.abc import Sequence

from .errors import InputError


def require_pictures(name: str, shape: Sequence[int | None]) -> None:
    """Raises InputError for what has not the four axes of a batch of pictures, in the layout of either framework."""
    if len(shape) != 4:
        raise InputError(
            f"{name} takes pictures, of the four axes batch, height, width and channels, and this input has the shape "
            f"{tuple(shape)}; leave {name} out, or give it pictures"
        )


def require_size(name: str, height: int | None, width: int | None) -> tuple[int, int]:
    """Height and width of the pictures; raises InputError where there are none, as of what is no picture."""
    if height is None or width is None:
        raise InputError(f"{name} draws for pictures, and needs their height and width; give both, or leave {name} out")
    return height, width
