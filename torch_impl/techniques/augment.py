"""Small pictures, shifted and mirrored at random. See core/techniques/augment.py."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional as F

from ...core.pictures import require_pictures
from ...core.technique import Arrays
from ...core.techniques.augment import Augment as Spec
from ..layout import to_canonical, to_native

IMAGE = "batch height width channels"


def crop(spec: Spec, images: torch.Tensor, parameters: Arrays) -> torch.Tensor:
    """The pixels of each crop, mirrored where it is drawn so, of the pictures' own type."""
    require_pictures("augment", images.shape)
    batch, channels, height, width = images.shape
    spec.require(parameters, batch, height, width, channels)
    padded = F.pad(images, (spec.padding,) * 4)  # (batch, channels, height, width)
    top, left, flip = (torch.as_tensor(parameters[name], device=images.device) for name in ("top", "left", "flip"))
    steps = torch.arange(spec.crop_size, device=images.device)
    rows = top[:, None] + steps
    columns = left[:, None] + torch.where(flip[:, None], steps.flip(0), steps)
    samples = torch.arange(batch, device=images.device)[:, None, None]
    return padded.movedim(1, -1)[samples, rows[:, :, None], columns[:, None, :]].movedim(-1, 1).contiguous()


def build(spec: Spec) -> Callable[..., torch.Tensor]:
    def augment(images: torch.Tensor, parameters: Arrays) -> torch.Tensor:
        x = crop(spec, images, parameters)
        x = x if x.is_floating_point() else x.to(torch.get_default_dtype())
        mean, deviation = (x.new_tensor(values)[:, None, None] for values in (spec.mean, spec.deviation))
        return (x * spec.scale - mean) / deviation

    return augment


def trace(spec: Spec, case: Arrays) -> Arrays:
    images, drawn = torch.tensor(to_native(case["images"], IMAGE)), spec.drawn(case)
    results = {"pixels": crop(spec, images, drawn), "result": build(spec)(images, drawn)}
    return {name: to_canonical(tensor.numpy(), IMAGE) for name, tensor in results.items()}
