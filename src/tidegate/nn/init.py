"""Initial values that let an LSTM learn from the first step."""

import torch
from torch import nn


def initialise_lstm(lstm: nn.LSTM) -> None:
    """In place, each gate's block by itself.

    Recurrent weights orthogonal (Saxe et al. 2014: gradients keep their length through time), input weights Glorot uniform
    (Glorot and Bengio 2010), forget-gate bias 1 (Gers et al. 2000; Jozefowicz et al. 2015), other biases 0. The defaults of Keras;
    torch.nn.LSTM draws all of them from one uniform distribution.
    """
    size = lstm.hidden_size
    with torch.no_grad():
        for name, parameter in lstm.named_parameters():
            if name.startswith("bias"):
                parameter.zero_()
                if name.startswith("bias_ih"):
                    parameter[size : 2 * size].fill_(1.0)
                continue
            for gate in parameter.split(size):
                (nn.init.orthogonal_ if name.startswith("weight_hh") else nn.init.xavier_uniform_)(gate)
