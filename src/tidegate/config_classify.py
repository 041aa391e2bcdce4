"""Settings of classification: what it has beside the settings that all tasks share (config.py)."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from tidegate.config import Fraction, LoopSettings, Positive, RunSettings, Settings, SubsequenceSettings

Pooling = Literal["last", "mean", "max", "attention"]
Init = Literal["keras", "chrono", "torch"]
NotNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class ClassDataSettings(Settings):
    """What the columns of a long table mean, which sequences training does not see, and how the others are prepared."""

    label: str | None = None
    id: str | None = None
    time: str | None = None
    channels: tuple[str, ...] | None = None
    """None: all columns of numbers that have no other role."""
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
    blocks: PositiveInt = 3
    pool: PositiveInt | None = None
    """Steps that become one after the first `fine_blocks` blocks; None: such that at most 128 are left for the LSTM."""
    fine_blocks: PositiveInt = 1
    dilated_features: NonNegativeInt = 9996
    """Shares of positive values of fixed dilated convolutions, with an output of their own that is solved for (see nn/dilated.py); the
    probabilities of both outputs are mixed as what is held aside says. 0: none."""


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
    max_epochs: PositiveInt | None = None
    """None: as many as make 600 updates of the weights of each network, but so few that all of them are done in minutes on two cores."""
    patience: PositiveInt = 30
    keep: Literal["best", "last"] = "last"
    """best: the weights of the epoch with the least validation loss, and training stops when it no longer falls. last: those at the end
    of the schedule; what is held aside then only tells how sure the network may be. A few sequences do not tell epochs apart."""
    members: PositiveInt | None = None
    """Networks of the ensemble, trained one after the other from different seeds, each with another part of the data held aside; their
    probabilities are averaged. None: five of conv-lstm, and fewer where the data is large; one of the others."""
    label_smoothing: Fraction | None = None
    """Share of each label that is spread over all classes (Szegedy et al. 2016). None: 0.1 for conv-lstm, 0 for the others."""
    class_weights: Literal["none", "balanced"] = "none"
    """balanced: each class counts as much as any other in the loss, however rare it is."""
    jitter: NotNegative = 0.0
    """Deviation of the noise added to each value of a training batch, in standard deviations of its channel. This and the next four change
    training batches only, by chance that follows from seed and step (Um et al. 2017, 'Data augmentation of wearable sensor data')."""
    magnitude: NotNegative = 0.0
    """Deviation of the log of a factor for each sequence and channel."""
    warp: Share = 0.0
    """Share of sequences of which a tenth of the steps is made twice as fast or half as fast (Le Guennec et al. 2016)."""
    crop: Fraction = 0.0
    """At most this share of the steps is left out, at both ends together; what is left is stretched to the length it was."""
    mixup: NotNegative = 0.0
    """alpha of the Beta distribution by which pairs of a batch, and their labels, are mixed (Zhang et al. 2018); 0: none."""


class ClassConfig(RunSettings):
    """The whole tree of classification."""

    task: Literal["classify"] = "classify"
    data: ClassDataSettings = ClassDataSettings()
    network: ClassNetworkSettings = ConvLSTMClassifierSettings()
    training: ClassTrainingSettings = ClassTrainingSettings()
