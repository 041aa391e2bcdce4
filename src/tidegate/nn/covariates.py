"""Covariates as numbers that a network can take: numbers as they are, categories as embeddings, missing values said."""

import math

import torch
from torch import Tensor, nn


class CovariateUnit(nn.Module):
    """[..., K] -> [..., E]. `kinds` has an entry a column: 0 for numbers, else how many categories there are.

    A missing number becomes 0 (its training mean, where inputs are standardised), with an indicator column beside it where
    `indicator` is set; a missing or unknown category has an embedding of its own.
    """

    def __init__(self, kinds: tuple[int, ...], indicator: bool) -> None:
        super().__init__()
        self.numbers = [column for column, categories in enumerate(kinds) if not categories]
        self.categories = [column for column, categories in enumerate(kinds) if categories]
        self.indicator = indicator
        sizes = [kinds[column] for column in self.categories]
        self.embeddings = nn.ModuleList(nn.Embedding(size + 1, min(8, size // 2 + 1)) for size in sizes)
        self.features = len(self.numbers) * (1 + indicator) + sum(min(8, size // 2 + 1) for size in sizes)

    def forward(self, x: Tensor) -> Tensor:
        """Features of each step, in the order numbers, indicators, embeddings."""
        numbers = x[..., self.numbers] if self.categories else x
        parts = [_filled(numbers)]
        if self.indicator:
            parts.append(numbers.isnan().to(x.dtype))
        elif not self.categories:
            return parts[0]
        for column, embedding in zip(self.categories, self.embeddings, strict=True):
            parts.append(embedding((x[..., column] + 1.0).nan_to_num(0.0).long()))
        return torch.cat(parts, -1)


def _filled(x: Tensor) -> Tensor:
    """NaN becomes 0. A sum that is finite has none: on a CPU to look takes a fraction of the time of a copy."""
    if x.device.type == "cpu" and math.isfinite(x.sum().item()):
        return x
    return x.nan_to_num(0.0, torch.inf, -torch.inf)
