"""Settings of classification: what it has beside the settings that all tasks share (config.py)."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from tidegate.config import Fraction, LoopSettings, Positive, Settings, SubsequenceSettings

Pooling = Literal["last", "mean", "max", "attention"]
Init = Literal["keras", "chrono", "torch"]


class ClassDataSettings(Settings):
    """Which sequences training does not see, and how the others are prepared."""

    validation: Fraction = 0.2
    """Of each class the share that is held aside, to tell when to stop and how sure the network may be."""
    test: Fraction = 0.2
    """Of each class the share that is held aside for the scores, where no test data is given."""
    scaling: Literal["standard", "none"] = "standard"
    """Each channel by its mean and deviation over all training sequences. No sequence is scaled for itself: its level may tell."""


class ClassifierSettings(Settings):
    """What every classification network has."""

    hidden: PositiveInt = 128
    layers: PositiveInt = 1
    dropout: Fraction = 0.1
    """On what goes to the output."""
    input_dropout: Fraction = 0.0
    """On the inputs of the first LSTM layer; this and layer_dropout with one mask over time."""
    layer_dropout: Fraction = 0.0
    recurrent_dropout: Fraction = 0.0
    """On the hidden state that goes to the next step; see LSTMUnit."""
    weight_drop: Fraction = 0.0
    init: Init = "keras"
    """keras: `initialise_lstm`. chrono: the same with forget biases log U(1, T - 1) and input biases of the opposite sign, for memories as
    long as the sequences (Tallec and Ollivier 2018). torch: that of torch.nn.LSTM and torch.nn.Linear."""


class LSTMClassifierSettings(ClassifierSettings):
    """An LSTM over all steps, a pooling of its outputs, a linear output."""

    name: Literal["lstm"] = "lstm"
    bidirectional: bool = False
    pooling: Pooling = "last"


class ConvLSTMClassifierSettings(ClassifierSettings):
    """Convolutions of several lengths, an LSTM over their features in time, and both pooled to the output."""

    name: Literal["conv-lstm"] = "conv-lstm"
    hidden: PositiveInt = 64
    bidirectional: bool = True
    pooling: Pooling = "attention"
    recurrent: bool = True
    """False: the same without the LSTM, to see what it adds."""
    filters: PositiveInt = 32
    """Of each of the four branches of a block."""
    kernel: PositiveInt = 39
    """Steps of the longest of the three; at most as many as the sequences have."""
    blocks: PositiveInt = 6
    pool: PositiveInt | None = None
    """Steps that become one before the LSTM; None: such that at most 128 are left."""


class AttentionCNNLSTMClassifierSettings(SubsequenceSettings, ClassifierSettings):
    """Li, Ning and Guo 2019: attention CNN over overlapping subsequences, LSTM over those, last hidden state to the output. Subsequences
    are by default such that about 30 of them, overlapping by half, make the longest sequence, but of at least 4 steps."""

    name: Literal["attention-cnn-lstm"] = "attention-cnn-lstm"


ClassNetworkSettings = Annotated[
    ConvLSTMClassifierSettings | AttentionCNNLSTMClassifierSettings | LSTMClassifierSettings, Field(discriminator="name")
]


class ClassTrainingSettings(LoopSettings):
    """How a classifier's weights are found."""

    learning_rate: Positive | Literal["auto"] = 1e-3
    max_epochs: PositiveInt = 100
    patience: PositiveInt = 30
    label_smoothing: Fraction = 0.0
    """Share of each label that is spread over all classes (Szegedy et al. 2016)."""
    class_weights: Literal["none", "balanced"] = "none"
    """balanced: each class counts as much as any other in the loss, however rare it is."""


class ClassConfig(Settings):
    """The whole tree, as in config.json."""

    task: Literal["classify"] = "classify"
    data: ClassDataSettings = ClassDataSettings()
    network: ClassNetworkSettings = ConvLSTMClassifierSettings()
    training: ClassTrainingSettings = ClassTrainingSettings()
