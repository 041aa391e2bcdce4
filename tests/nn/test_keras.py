"""The Keras example with Tidegate's weights: the same logits. Needs the package keras; its back end is torch, which is there."""

import warnings
from typing import Any

import pytest
import torch

from tidegate.config_classify import LSTMClassifierSettings
from tidegate.nn.classifier import ClassifierShape, LSTMClassifier

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own, with NumPy 2

BATCH, STEPS, CHANNELS, HIDDEN, CLASSES = 8, 30, 100, 64, 10


@pytest.fixture(scope="module")
def keras(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Keras on torch, with a home of its own: it writes its settings there when it is imported."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setenv("KERAS_BACKEND", "torch")
        patch.setenv("KERAS_HOME", str(tmp_path_factory.mktemp("keras")))
        warnings.simplefilter("ignore")  # of its imports
        return pytest.importorskip("keras")


def twin(keras: Any, network: LSTMClassifier) -> Any:
    """The example with the network's weights. Both have the gates in the order i, f, g (Keras: c), o; Keras's matrices are transposed, and
    its LSTM has one bias."""
    model = keras.Sequential([keras.layers.Input((None, CHANNELS)), keras.layers.Masking(), keras.layers.LSTM(HIDDEN)])
    model.add(keras.layers.Dense(CLASSES))
    lstm = network.lstm.layers[0]
    kernel, recurrent = lstm.get_parameter("weight_ih_l0").T, lstm.get_parameter("weight_hh_l0").T
    bias = lstm.get_parameter("bias_ih_l0") + lstm.get_parameter("bias_hh_l0")
    model.layers[-2].set_weights([weight.detach().numpy() for weight in (kernel, recurrent, bias)])
    model.layers[-1].set_weights([network.output.weight.T.detach().numpy(), network.output.bias.detach().numpy()])
    return model


@pytest.fixture
def network() -> LSTMClassifier:
    """The recipe, with biases that are not all alike."""
    torch.manual_seed(0)
    settings = LSTMClassifierSettings(hidden=HIDDEN, dropout=0.0)
    network = LSTMClassifier(ClassifierShape(CHANNELS, CLASSES, STEPS), settings).eval()
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if "bias" in name:
                weight += 0.3 * torch.randn_like(weight)
    return network


@pytest.mark.parametrize("ragged", [False, True])
def test_the_same_weights_give_the_same_logits(keras: Any, network: LSTMClassifier, ragged: bool) -> None:
    """Sequences of one length; and of several, where Keras masks the steps that are zero."""
    x_BTC = torch.randn(BATCH, STEPS, CHANNELS)
    lengths_B = torch.randint(1, STEPS, (BATCH,)) if ragged else torch.full((BATCH,), STEPS)
    x_BTC[torch.arange(STEPS) >= lengths_B[:, None]] = 0.0
    theirs_BK = torch.as_tensor(twin(keras, network).predict(x_BTC.numpy(), verbose=0))
    with torch.no_grad():
        ours_BK = network(x_BTC, lengths_B).logits_BK
    assert float(ours_BK.abs().max()) > 0.1
    assert float((ours_BK - theirs_BK).abs().max()) < 1e-5


def test_the_same_initial_biases(keras: Any) -> None:
    """1 for the forget gate, else 0."""
    layer = keras.Sequential([keras.layers.Input((None, CHANNELS)), keras.layers.LSTM(HIDDEN)]).layers[0]
    own = LSTMClassifier(ClassifierShape(CHANNELS, CLASSES, STEPS), LSTMClassifierSettings(hidden=HIDDEN)).lstm.layers[0]
    theirs = torch.as_tensor(layer.get_weights()[2])
    assert torch.equal(own.get_parameter("bias_ih_l0") + own.get_parameter("bias_hh_l0"), theirs)
