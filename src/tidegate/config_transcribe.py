"""Settings of transcription: what it has beside the settings that all tasks share (config.py)."""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from tidegate.config import Fraction, LoopSettings, Positive, RunSettings, Settings


class RecogniserSettings(Settings):
    """What every recogniser has."""

    stem: Literal["conv", "none"] = "conv"
    """conv: two convolutions over time and frequency. none: the frames as they are."""
    filters: PositiveInt = 64
    """Of each convolution."""
    pooling: Literal[1, 2, 4] = 2
    """Frames that become one on their way to the LSTM: by the strides of the convolutions, or side by side without them. CTC needs at least
    as many steps as an utterance has tokens; 4 takes half the time of 2."""
    hidden: PositiveInt = 256
    """Of each direction."""
    layers: PositiveInt = 3
    dropout: Fraction = 0.3
    """Between the LSTM layers and before the output; all dropout has one mask over time."""
    input_dropout: Fraction = 0.0
    """On what goes to the first LSTM layer."""
    recurrent_dropout: Fraction = 0.0
    """On the hidden state that goes to the next step; see LSTMUnit."""
    weight_drop: Fraction = 0.0


class BLSTMSettings(RecogniserSettings):
    """LSTM layers in both directions over a whole utterance (Graves, Mohamed and Hinton 2013)."""

    name: Literal["blstm"] = "blstm"


class CausalLSTMSettings(RecogniserSettings):
    """LSTM layers in one direction, for live use: nothing waits for the end of an utterance."""

    name: Literal["causal-lstm"] = "causal-lstm"
    look_ahead: NonNegativeInt = 0
    """Frames that are heard before a step is answered, beyond those it stands for; a multiple of pooling."""

    @model_validator(mode="after")
    def _whole_steps(self) -> Self:
        if self.look_ahead % self.pooling:
            raise ValueError(f"look_ahead {self.look_ahead} must be a multiple of pooling {self.pooling}")
        return self


RecogniserNetworkSettings = Annotated[BLSTMSettings | CausalLSTMSettings, Field(discriminator="name")]


class SpeechDataSettings(Settings):
    """What the corpus is, and what a frame of its recordings is."""

    kind: Literal["timit", "folder", "manifest", "fsdd"] | None = None
    """None: recognised."""
    tokens: Literal["phones", "characters", "words"] | None = None
    """None: as the kind of corpus has it."""
    phone_set: Literal[61, 48, 39] = 61
    """Of a TIMIT corpus: what is trained on; scores are always of 39 phones (Lee and Hon 1989)."""
    on_bad: Literal["skip", "refuse"] = "refuse"
    """What becomes of recordings that cannot be used."""
    test_speakers: tuple[str, ...] = ()
    """All that these say is the test part, instead of what the corpus has for it."""
    rate: PositiveInt | None = None
    """Samples a second; None: that of most training recordings, at most 16,000."""
    bands: Annotated[int, Field(ge=3)] = 40
    deltas: Literal[0, 1, 2] = 0
    """Orders of slopes over time beside the bands."""
    window_ms: Positive = 25.0
    hop_ms: Positive = 10.0
    normalisation: Literal["global", "speaker", "utterance", "none"] | None = None
    """None: by speaker where all are known and the network is not for live use, else by the whole training part."""
    loud_db: Positive | None = 20.0
    """By speaker or utterance: only frames within so many dB of the loudest twentieth of an utterance count, for pauses are as long and as
    quiet as whoever cut the recording left them. None: all frames."""
    cache: str | None = None
    """Folder in which computed frames are kept for the next run; None: they are kept in memory."""


class SpeechTrainingSettings(LoopSettings):
    """How a recogniser's weights are found."""

    optimiser: Literal["adam", "adamw"] = "adamw"
    learning_rate: Positive = 1e-3
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.01
    average: Fraction = 0.98
    clip_norm: Positive | None = 5.0
    max_epochs: PositiveInt | None = None
    """None: as many as make 4,000 updates of the weights, but 20 to 40."""
    patience: PositiveInt = 1000
    keep: Literal["best", "last"] = "best"
    """best: the weights of the epoch with the lowest error rate on the development part; last: those of the last epoch."""
    inner_ctc: Annotated[float, Field(ge=0.0)] = 0.3
    """Weight of the CTC loss of a second output, after the last LSTM layer but one (none where there is one layer), that only training has
    (Lee and Watanabe 2021)."""
    boundaries: Annotated[float, Field(ge=0.0)] = 0.3
    """Weight of the cross-entropy of an output at the same place that tells in which token each step lies, where labels have times."""
    batch_frames: PositiveInt | None = None
    """At most so many frames in a batch, padding included. None: 3,000, or in small corpora as few as let 40 epochs make 4,000 updates, but
    not below 1,000."""
    sorted_epochs: Annotated[int, Field(ge=0)] = 1
    """Epochs at the beginning that go from short utterances to long ones (SortaGrad, Amodei et al. 2016)."""
    speeds: Annotated[tuple[Positive, ...], Field(min_length=1)] | None = None
    """Each training utterance is played at one of these, drawn anew each epoch (Ko et al. 2015). None: 0.9, 1 and 1.1 where several
    speakers are known; else as it is, for one voice learns nothing from another pitch."""
    tempo: Annotated[float, Field(ge=0.0, lt=1.0)] | None = None
    """Each training utterance is stretched or squeezed by at most this share, its pitch as it is. None: 0.15 where `speeds` is 1 alone,
    else 0."""
    joined: PositiveInt | None = None
    """Up to so many training utterances of a speaker are said one after the other, so that short ones teach longer strings. None: 6 where
    utterances have fewer than three tokens on average, as single digits do, else 1."""
    cut: Annotated[float, Field(ge=0.0, lt=0.5)] | None = None
    """At most this share of a training utterance is cut off at an end, of one end in two. None: 0.2 where utterances have fewer than three
    tokens on average, else 0. Unknown voices come with unknown ways to cut single words out."""
    pauses: NonNegativeInt | None = None
    """At most so many of its quietest frames are put to an end, to one end in two. None: 20 where utterances have fewer than three tokens
    on average, else 0."""
    time_masks: NonNegativeInt = 2
    """This and the next four: stretches of training utterances that are hidden (SpecAugment, Park et al. 2019)."""
    time_width: NonNegativeInt = 30
    time_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.2
    frequency_masks: NonNegativeInt = 2
    frequency_width: NonNegativeInt = 8
    noise_db: tuple[float, float] | None = None
    """Least and greatest ratio of signal to the noise that is added to training utterances, in dB; None: no noise."""


class DecodingSettings(Settings):
    """How logits become strings."""

    beam: PositiveInt = 16
    """Prefixes that are followed; 1: the best path, without a language model."""
    order: Annotated[int, Field(ge=1, le=5)] = 3
    """Tokens of an n-gram of the language model, which learns from the training transcripts."""
    lm_weight: Annotated[float, Field(ge=0.0)] | None = None
    """By which its logarithms count; None: found on the development part."""
    token_bonus: float | None = None
    """Added for each token; None: found with the weight."""
    convention: Literal["kaldi", "speechbrain", "no-silence"] = "kaldi"
    """How phones are scored."""


class TranscribeConfig(RunSettings):
    """The whole tree of transcription."""

    task: Literal["transcribe"] = "transcribe"
    data: SpeechDataSettings = SpeechDataSettings()
    network: RecogniserNetworkSettings = BLSTMSettings()
    training: SpeechTrainingSettings = SpeechTrainingSettings()
    decoding: DecodingSettings = DecodingSettings()
