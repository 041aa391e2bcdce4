"""The optimiser and the path of its learning rate."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tidegate.config import LoopSettings


def build_optimiser(network: nn.Module, settings: LoopSettings) -> torch.optim.Optimizer:
    """Adam (Kingma and Ba 2015) or AdamW (Loshchilov and Hutter 2019); weight decay on matrices only, not on biases."""
    matrices = [weight for weight in network.parameters() if weight.requires_grad and weight.ndim > 1]
    vectors = [weight for weight in network.parameters() if weight.requires_grad and weight.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    if not settings.weight_decay:
        groups = [{"params": matrices + vectors, "weight_decay": 0.0}]  # in the same order: the state in a checkpoint is numbered by it
    kind = torch.optim.AdamW if settings.optimiser == "adamw" else torch.optim.Adam
    return kind(groups, lr=first_rate(settings), fused=True)  # one pass over each weight, also on the CPU


def clear_gradients(weights: Sequence[Tensor]) -> None:
    """As Optimizer.zero_grad, whose bookkeeping a small network's step feels."""
    for weight in weights:
        weight.grad = None


def clip_gradients(weights: Sequence[Tensor], most: float | None) -> float:
    """The norm of all gradients together; if it is above `most`, they are scaled down to that. The same bits as clip_grad_norm_, which
    multiplies each gradient by 1 where there is nothing to clip."""
    norm = nn.utils.get_total_norm([weight.grad for weight in weights if weight.grad is not None])
    value = norm.item()
    if most is not None and not value + 1e-6 <= most:
        nn.utils.clip_grads_with_norm_(weights, most, norm)
    return value


def first_rate(settings: LoopSettings) -> float:
    """The settings' learning rate; 'auto' is found before training begins."""
    assert settings.learning_rate != "auto", "the finder comes first"
    return settings.learning_rate


def learning_rate(settings: LoopSettings, done: float, plateaus: int) -> float:
    """The rate when the fraction `done` of the budget is used up: constant; half a cosine down to zero (Loshchilov and Hutter 2017);
    or halved after each plateau."""
    first = first_rate(settings)
    if settings.schedule == "cosine":
        return first * 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))
    if settings.schedule == "plateau":
        return first * 0.5**plateaus
    return first


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state as named tensors: 'NUMBER.KEY'."""
    state = optimiser.state_dict()["state"]
    return {f"{number}.{key}": value for number, entry in state.items() for key, value in entry.items()}


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """The inverse of `optimiser_tensors`."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        number, key = name.split(".", 1)
        state.setdefault(int(number), {})[key] = value.clone()  # the optimiser goes on in place
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
