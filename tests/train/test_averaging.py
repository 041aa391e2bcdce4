"""The moving average of weights."""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from tidegate.train.averaging import MovingAverage


def test_the_average_is_that_of_torch() -> None:
    """Weights, the other state of the network (here of batch norm) and the names under which both are kept."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))

    def move(averages: tuple[Tensor, ...] | list[Tensor], weights: tuple[Tensor, ...] | list[Tensor], count: Tensor | int) -> None:
        for average, weight in zip(averages, weights, strict=True):
            average.lerp_(weight, 1.0 - min(0.8, (1 + int(count)) / (4 + int(count))))

    own, theirs = MovingAverage(network, 0.8), AveragedModel(network, multi_avg_fn=move)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(12):
        optimiser.zero_grad()
        network(torch.randn(8, 3)).square().sum().backward()
        optimiser.step()
        own.update()
        theirs.update_parameters(network)
    assert own.state_dict().keys() == theirs.state_dict().keys()
    for name, value in theirs.state_dict().items():
        assert torch.equal(own.state_dict()[name], value), name
