"""Training of a recogniser: CTC over batches of utterances, judged by the error rate on the development part; then the language model."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tidegate.config_transcribe import SpeechTrainingSettings, TranscribeConfig
from tidegate.decode.greedy import BLANK, greedy
from tidegate.decode.ngram import NGram
from tidegate.evaluate.speech import count_errors
from tidegate.nn.guided_recogniser import GuidedRecogniser
from tidegate.nn.recogniser import RecogniserShape, build_recogniser
from tidegate.tasks.computing import computing
from tidegate.tasks.training import Listener, Saver
from tidegate.tasks.transcription.batches import NO_TOKEN, PartBatches, SpeechBatch, TrainingBatches, joined, target_of
from tidegate.tasks.transcription.material import SpeechMaterial, single_words
from tidegate.tasks.transcription.model import SpeechModel
from tidegate.train.events import Said, Stopped
from tidegate.train.loop import INTERRUPTED, Checkpoint, Job, fit

WEIGHTS = (0.0, 0.15, 0.3, 0.45, 0.6, 0.8, 1.0)
BONUSES = (-0.5, 0.0, 0.5, 1.0, 1.5)
"""What is tried on the development part for the language model and for each token."""
CUSTOMARY = 0.3
"""Weight of the language model unless the development part speaks against it: strings of tokens have an order. Single words have none."""
LANGUAGE, DRAWS = 0x6C616E67, 5
"""Beside the seed for how utterances are joined for the language model, and how often each is."""
SEARCHED_TOKENS = 6000
"""Of the development part, for that search."""
CLEARLY = 2.0
"""Standard errors of a difference that is more than chance."""


@dataclass(frozen=True)
class FittedSpeech:
    """A trained model, or one whose training was interrupted."""

    model: SpeechModel
    interrupted: bool


def shape_of(material: SpeechMaterial) -> RecogniserShape:
    """What the network is built for."""
    return RecogniserShape(material.features.statics, 1 + material.features.deltas, len(material.vocabulary))


def new_network(material: SpeechMaterial, config: TranscribeConfig) -> GuidedRecogniser:
    """The network with initial weights that follow from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.training.seed)
        recogniser, settings = build_recogniser(shape_of(material), config.network), config.training
        timed = any(spans is not None for spans in material.spans)
        ctc, token = settings.inner_ctc > 0.0, settings.boundaries > 0.0 and timed
        lower = config.network.layers > 1  # a single layer has none below it
        return GuidedRecogniser(recogniser, lower and ctc, lower and token).to(settings.device)


def fit_speech(
    material: SpeechMaterial,
    config: TranscribeConfig,
    *,
    listen: Listener,
    save: Saver | None = None,
    checkpoint: Checkpoint | None = None,
    interrupted: Callable[[], bool] = lambda: False,
) -> FittedSpeech:
    """Train as `config` (nothing open but the decoding) says, telling `listen` of each event."""
    network = new_network(material, config)
    ended = Stopped("", 0, 0, 0.0, 0.0)
    with computing(config.training.threads), torch.random.fork_rng(devices=[]):
        for event in fit(speech_job(material, config, network, save, interrupted), checkpoint):
            listen(event)
            ended = event if isinstance(event, Stopped) else ended
        model = SpeechModel(config, shape_of(material), material.vocabulary, material.normaliser, network.recogniser, ended.best_epoch)
        stopped = ended.reason == INTERRUPTED
        if not stopped:
            model = with_language_model(model, material, listen)
    return FittedSpeech(model, stopped)


def speech_job(
    material: SpeechMaterial, config: TranscribeConfig, network: GuidedRecogniser, save: Saver | None, interrupted: Callable[[], bool]
) -> Job[SpeechBatch]:
    """What the training loop needs."""
    settings = config.training
    judged = material.numbers("dev") if settings.keep == "best" else np.zeros(0, np.int64)
    return Job(
        network,
        lambda guided, batch: speech_loss(guided, batch, settings),
        lambda epoch: TrainingBatches(replace(material, config=config), epoch),
        PartBatches(material, judged),
        settings,
        settings.device,
        save,
        interrupted,
    )


TIE = 1e-6
"""Errors that a nat of loss counts for: of epochs with as many errors, as the first ones, which hear nothing yet, that with the lowest loss
is the best."""


def speech_loss(network: nn.Module, batch: SpeechBatch, settings: SpeechTrainingSettings) -> tuple[Tensor, int]:
    """In training the loss of CTC (Graves et al. 2006) in nats a token, and what guides the lower layers: their own CTC loss, and the
    cross-entropy in nats a step that lies in a known token. Otherwise the error rate of the best path, which is what training is
    judged by: the loss goes on to fall or rise while errors do not. And the number of tokens that it is over.
    """
    assert isinstance(network, GuidedRecogniser)
    said, inner_BTV, token_BTV = network(batch.x_BTC.to(next(network.parameters()).device), batch.lengths_B)
    tokens = max(1, sum(len(target) for target in batch.targets))
    total = ctc_loss(said.logits_BTV, said.lengths_B, batch.targets)
    if not network.training:
        log_probs_BTV = said.logits_BTV.float().log_softmax(2)
        edits = sum(_edits(log_probs_BTV[row, : int(said.lengths_B[row])], target) for row, target in enumerate(batch.targets))
        return (edits + TIE * total.detach()) / tokens, tokens
    if inner_BTV is not None:
        total = total + settings.inner_ctc * ctc_loss(inner_BTV, said.lengths_B, batch.targets)
    loss = total / tokens
    if token_BTV is not None:
        loss = loss + settings.boundaries * token_loss(token_BTV, network.recogniser.step_labels(batch.labels_BT))
    return loss, tokens


def ctc_loss(logits_BTV: Tensor, lengths_B: Tensor, targets: Sequence[np.ndarray]) -> Tensor:
    """The sum over utterances, in nats; those that speed or joining made too short count as 0."""
    log_probs_TBV = logits_BTV.float().log_softmax(2).transpose(0, 1)
    joined_U = torch.from_numpy(np.concatenate(targets)).to(logits_BTV.device)
    counts_B = torch.tensor([len(target) for target in targets])
    return functional.ctc_loss(log_probs_TBV, joined_U, lengths_B, counts_B, BLANK, reduction="sum", zero_infinity=True)


def token_loss(logits_BTV: Tensor, labels_BT: Tensor) -> Tensor:
    """Mean cross-entropy over the steps that lie in a known token; labels are numbers of tokens from 1, NO_TOKEN elsewhere."""
    labels_BT = labels_BT.to(logits_BTV.device)
    total = functional.cross_entropy(logits_BTV.float().flatten(0, 1), labels_BT.flatten() - 1, ignore_index=NO_TOKEN - 1, reduction="sum")
    return total / (labels_BT != NO_TOKEN).sum().clamp_min(1)


def _edits(log_probs_TV: Tensor, target: np.ndarray) -> int:
    heard = [token.index for token in greedy(log_probs_TV.detach().cpu().numpy())]
    return count_errors([str(token) for token in target], [str(token) for token in heard]).edits


def with_language_model(model: SpeechModel, material: SpeechMaterial, listen: Listener = lambda event: None) -> SpeechModel:
    """The model with an n-gram model of the training transcripts, joined as utterances were in training, and the weights of it: those of
    the settings where they are given, else by the errors on the development part (`chosen`)."""
    decoding = model.config.decoding
    if decoding.beam == 1:
        return model
    random = np.random.default_rng((model.config.training.seed, LANGUAGE))
    draws = DRAWS if (material.config.training.joined or 1) > 1 else 1
    transcripts = [target_of(material, item).tolist() for _ in range(draws) for item in joined(material, "train", random)]
    lm = NGram.train(transcripts, len(material.vocabulary), decoding.order)
    model = replace(model, lm=lm)
    weights = WEIGHTS if decoding.lm_weight is None else (decoding.lm_weight,)
    bonuses = BONUSES if decoding.token_bonus is None else (decoding.token_bonus,)
    if len(weights) * len(bonuses) == 1:
        return replace(model, lm_weight=weights[0], token_bonus=bonuses[0])
    begin = time.monotonic()
    items = _some(material, joined(material, "dev", random))
    log_probs = model.log_probs([torch.cat([material.normalised(number) for number in item]) for item in items])
    references = [[str(token) for token in target_of(material, item)] for item in items]
    tried = [replace(model, lm_weight=weight, token_bonus=bonus) for weight in weights for bonus in bonuses]
    edits = np.array([_edits_of_each(one, log_probs, references) for one in tried])
    usual = 0.0 if single_words(material.corpus.part("train")) else CUSTOMARY
    best = tried[chosen(edits, [(abs(one.token_bonus), abs(one.lm_weight - usual)) for one in tried])]
    listen(Said(f"language model: weight {best.lm_weight:g}, {best.token_bonus:+g} a token; {time.monotonic() - begin:.0f} s"))
    return best


def chosen(edits_NU: np.ndarray, changes: Sequence[tuple[float, float]]) -> int:
    """Which of N decoders: of those that make no more errors on U items than the best one, but for what chance makes of it, that which
    changes least by `changes`. The fewest errors alone would let a handful of items, all of known voices, decide what others get.
    """
    best = int(edits_NU.sum(1).argmin())
    excess_NU = edits_NU - edits_NU[best]
    excess_N, squares_N = excess_NU.sum(1), np.square(excess_NU).sum(1)
    spread_N = squares_N - np.square(excess_N) / max(1, edits_NU.shape[1])
    noise_N = np.sqrt(np.maximum(spread_N, 0.0))  # standard error of the sum of differences; rounding may leave less than 0
    fair = np.flatnonzero(excess_N <= CLEARLY * noise_N)
    return min(fair.tolist(), key=lambda number: (changes[number], int(edits_NU[number].sum())))


def _edits_of_each(model: SpeechModel, log_probs: list[np.ndarray], references: list[list[str]]) -> list[int]:
    heard = [[str(token) for token in model.search(found)] for found in log_probs]
    return [count_errors(truth, said).edits for truth, said in zip(references, heard, strict=True)]


def _some(material: SpeechMaterial, items: list[list[int]]) -> list[list[int]]:
    """Items spread evenly, of about SEARCHED_TOKENS tokens."""
    tokens = sum(len(material.targets[number]) for item in items for number in item)
    return items[:: max(1, -(-tokens // SEARCHED_TOKENS))]
