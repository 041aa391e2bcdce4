"""Covariates as numbers: what is missing, and what is only extreme."""

import torch
from torch import nn

from tidegate.nn.covariates import CovariateUnit


def test_what_is_missing_becomes_0_and_all_else_stays() -> None:
    unit = CovariateUnit((0, 0), False)
    whole = torch.tensor([[1.0, -2.0], [3e38, 3e38], [torch.inf, -torch.inf]])
    for rows in (whole, whole[:1], whole[:2], whole[2:], whole[:0]):
        assert torch.equal(unit(rows), rows)
    gaps = torch.tensor([[torch.nan, 1.0], [2.0, torch.inf]])
    assert torch.equal(unit(gaps), torch.tensor([[0.0, 1.0], [2.0, torch.inf]]))
    assert torch.isnan(gaps[0, 0]), "what is given stays as it was"


def test_indicators_and_categories_stand_behind_the_numbers() -> None:
    unit = CovariateUnit((0, 3), True)
    found = unit(torch.tensor([[torch.nan, 2.0], [4.0, torch.nan]]))
    assert found.shape == (2, unit.features) and found[:, :2].tolist() == [[0.0, 1.0], [4.0, 0.0]]
    (embedding,) = unit.embeddings
    assert isinstance(embedding, nn.Embedding) and torch.equal(found[:, 2:], embedding.weight[[3, 0]])


def test_gradients_pass_through_what_is_known() -> None:
    for values in ([1.0, 2.0], [torch.nan, 2.0]):
        x = torch.tensor([values], requires_grad=True)
        CovariateUnit((0, 0), False)(x).sum().backward()
        assert x.grad is not None and x.grad[0, 1] == 1.0
