"""A recogniser in training: outputs after a lower layer guide what it learns, and are gone from the finished model."""

from typing import NamedTuple

from torch import Tensor, nn

from tidegate.nn.recogniser import Recogniser, Recognition


class Guidance(NamedTuple):
    """What a recogniser says, and what its last layer but one says: logits [B, T, V + 1], the blank first, and logits [B, T, V] of the
    token that a step lies in; None where there is no such output."""

    recognition: Recognition
    ctc_BTV: Tensor | None
    token_BTV: Tensor | None


class GuidedRecogniser(nn.Module):
    """A recogniser with up to two more outputs, on the hidden states of its last LSTM layer but one.

    ctc    the output of a second CTC loss (Lee and Watanabe 2021)
    token  which token each step lies in, as framewise classifiers tell it (Graves and Schmidhuber 2005)
    """

    def __init__(self, recogniser: Recogniser, ctc: bool, token: bool) -> None:
        super().__init__()
        self.recogniser = recogniser
        features, vocabulary = recogniser.lstm.features, recogniser.shape.vocabulary
        self.ctc = nn.Linear(features, vocabulary + 1) if ctc else None
        self.token = nn.Linear(features, vocabulary) if token else None
        for output in (self.ctc, self.token):
            if output is not None:
                nn.init.xavier_uniform_(output.weight)
                nn.init.zeros_(output.bias)

    def forward(self, x_BTC: Tensor, lengths_B: Tensor) -> Guidance:
        """x [B, T, C]; lengths [B], integers from 1 to T."""
        said = self.recogniser(x_BTC, lengths_B)
        ctc_BTV = None if self.ctc is None else self.ctc(said.inner_BTH)
        return Guidance(said, ctc_BTV, None if self.token is None else self.token(said.inner_BTH))
