"""Scaling of each window by its own past, undone on the forecast; and the filling of missing values."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

WindowScaling = Literal["last", "standard", "none"]


class Anchor(NamedTuple):
    """What is subtracted from a window, and what it is then divided by; each [B, 1, C]."""

    shift: Tensor
    scale: Tensor


def find_anchor(x_BLC: Tensor, kind: WindowScaling) -> Anchor:
    """'last': the last observed value (NLinear, Zeng et al. 2023); 'standard': mean and deviation (RevIN without its affine part,
    Kim et al. 2022, with its 1e-5 below the root); NaN is missing, and a window with nothing observed has shift 0."""
    shift = torch.zeros_like(x_BLC[:, :1])
    scale = torch.ones_like(shift)
    if kind == "last":
        shift = last_observed(x_BLC)[:, -1:].nan_to_num(0.0)
    elif kind == "standard":
        shift = x_BLC.nanmean(1, keepdim=True).nan_to_num(0.0)
        scale = ((x_BLC - shift) ** 2).nanmean(1, keepdim=True).nan_to_num(1.0).add(1e-5).sqrt()
    return Anchor(shift, scale)


def last_observed(x_BLC: Tensor) -> Tensor:
    """Each missing value replaced by the last one observed before it; NaN where there is none."""
    missing = x_BLC.isnan()
    if not missing.any():
        return x_BLC
    steps = torch.arange(x_BLC.shape[1], device=x_BLC.device)[None, :, None].expand_as(x_BLC)
    source = steps.masked_fill(missing, 0).cummax(1).values
    return x_BLC.gather(1, source)
