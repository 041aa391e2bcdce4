"""What the report and the card of a recogniser say, gathered from material, model and scores."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.config_transcribe import CausalLSTMSettings
from tidegate.data.speech.audio import audio_info
from tidegate.data.speech.corpus import Part, Utterance
from tidegate.decode.align import align
from tidegate.errors import DataError
from tidegate.evaluate.report.data import Aligned, Epoch, Heard, Hearing, SpeechReport
from tidegate.evaluate.report.page import render
from tidegate.formatting import format_number, format_share
from tidegate.runs.card import SpeechCard, model_card
from tidegate.tasks.transcription.evaluation import SpeechEvaluation, written
from tidegate.tasks.transcription.material import SpeechMaterial
from tidegate.tasks.transcription.model import SpeechModel

SHOWN = 2
"""Utterances with the worst, the middle and the best rate that are shown, each."""
PICTURES = 2
SHORT_SECONDS = 5.0
"""Pictures are of utterances up to this length where there are such."""
MOST_SECONDS = 10.0
"""Of a longer one the beginning is drawn."""
PARTS: tuple[Part, ...] = ("train", "dev", "test")


def report_page(
    material: SpeechMaterial,
    model: SpeechModel,
    scores: SpeechEvaluation,
    log_probs: Sequence[np.ndarray],
    history: Sequence[Epoch],
    run: str,
) -> str:
    """report.html.

    log_probs  [T', V + 1] of each utterance of the test part, in its order, which is also that of `scores.alignments`
    run        the run folder as it was given, for the commands
    """
    kind = model.config.data.tokens or "phones"
    called = shlex.quote(run)
    return render(
        SpeechReport(
            title=f"{material.corpus.root.name}: speech to {kind}",
            verdict=scores.verdict,
            beats=scores.beats,
            model=model.config.network.name,
            facts=facts(material, model, scores),
            notes=[*material.notes, *scores.notes],
            leaderboard=scores.table,
            history=[{**epoch, "epoch": epoch["epoch"] + 1} for epoch in history],  # people count from 1, as the log does
            config=json.loads(model.config.to_json()),
            commands=[
                f"tidegate predict {called} RECORDING.wav",
                f"tidegate predict {called} RECORDINGS/ --timestamps --out tokens.csv",
                f"tidegate evaluate {called} CORPUS",
            ],
            tokens=kind,
            errors=scores.errors,
            speakers=[
                {"name": name, "rate": row["rate"], "tokens": int(row["tokens"]), "utterances": int(row["utterances"])}
                for name, row in scores.by_speaker.items()
            ],
            by_token=[
                {"name": name, "count": row["count"], "right": row["right"], "substituted": row["substituted"], "deleted": row["deleted"]}
                for name, row in scores.by_token.items()
            ],
            confusions=scores.confusions,
            transcripts=transcripts(material, scores),
            hearings=hearings(material, model, scores, log_probs),
        )
    )


def model_card_of(run: Path, material: SpeechMaterial, model: SpeechModel, scores: SpeechEvaluation) -> str:
    """README.md of the run in this folder."""
    voices, heard = ({it.speaker for it in material.corpus.part(part)} - {""} for part in ("train", "test"))
    return model_card(
        SpeechCard(
            title=run.name,
            network=model.config.network.name,
            verdict=scores.verdict,
            facts=facts(material, model, scores),
            leaderboard=scores.table,
            folder=str(run),
            notes=[*material.notes, *scores.notes],
            tokens=model.config.data.tokens or "phones",
            vocabulary=model.vocabulary,
            speakers=len(voices),
            known_voices=bool(heard) and heard <= voices,
            convention=scores.convention,
            scored=scores.errors["tokens"],
            rate=model.config.data.rate or 0,
            live=isinstance(model.config.network, CausalLSTMSettings),
        )
    )


def facts(material: SpeechMaterial, model: SpeechModel, scores: SpeechEvaluation) -> list[tuple[str, Any]]:
    """The table at the head of the report and in the card."""
    corpus, kind = material.corpus, model.config.data.tokens or "phones"
    numbers = [material.numbers(part) for part in PARTS]
    voices = [{corpus.utterances[number].speaker for number in some} - {""} for some in numbers]
    lengths = material.frames[0].lengths * material.features.hop_seconds
    seconds = [float(lengths[some].sum()) for some in numbers]
    unit, name = (3600.0, "h") if seconds[0] >= 3600.0 else (60.0, "min")
    scored = f"{scores.errors['tokens']:,} {kind}" + (f", as '{scores.convention}'" if scores.convention else "")
    rate = f", recordings at {model.config.data.rate:,} Hz" if model.config.data.rate else ""
    return [
        ("corpus", f"{corpus.root.name} ({corpus.kind}){rate}"),
        ("train, dev, test", " / ".join(f"{len(some):,}" for some in numbers) + " utterances"),
        ("length of each", " / ".join(format_number(some / unit, 2) for some in seconds) + f" {name}"),
        ("speakers of each", " / ".join(f"{len(some):,}" for some in voices) if any(voices) else "not known"),
        *([("test voices", _new_voices(voices[2] - voices[0], voices[2]))] if voices[2] else []),
        ("tokens", f"{len(model.vocabulary):,} different {kind}"),
        ("scored", scored),
        ("decoding", decoding(model)),
        ("output", f"a step each {format_number(1000 * model.step_seconds, 3)} ms"),
        ("trained weights", model.parameters()),
    ]


def decoding(model: SpeechModel) -> str:
    """How strings are searched for, in words."""
    settings = model.config.decoding
    if settings.beam == 1 or model.lm is None:
        return "best path"
    weights = f"weight {format_number(model.lm_weight, 3)}, {model.token_bonus:+g} a token".replace("-", "−")
    return f"beam {settings.beam}, {settings.order}-gram of the training transcripts ({weights})"


def transcripts(material: SpeechMaterial, scores: SpeechEvaluation) -> list[Aligned]:
    """The worst utterances, those in the middle and the best, each beside what was heard."""
    utterances = material.corpus.part("test")
    chosen = []
    for why, number in extremes([row["rate"] for row in scores.alignments], [len(row["rows"]) for row in scores.alignments]):
        row = scores.alignments[number]
        speaker = f", {row['speaker']}" if row["speaker"] and row["speaker"].casefold() not in row["id"].casefold() else ""
        text = utterances[number].text if material.corpus.token_kind == "phones" else ""  # characters and words say it themselves
        chosen.append(Aligned(title=f"{why.capitalize()}: {row['id']}{speaker}", text=text, rate=row["rate"], rows=row["rows"]))
    return chosen


def extremes(rates: Sequence[float], lengths: Sequence[int]) -> list[tuple[str, int]]:
    """(why, number) of utterances with the worst, the middle and the best rates, none twice; of equals the longer ones, which say more."""
    ranked = sorted((number for number, rate in enumerate(rates) if np.isfinite(rate)), key=lambda n: (-rates[n], -lengths[n], n))
    best = sorted(ranked, key=lambda n: (rates[n], -lengths[n], n))
    middle = max(0, (len(ranked) - SHOWN) // 2)
    found: dict[int, str] = {}
    wrong = [number for number in ranked[:SHOWN] if rates[number] > 0]
    for why, numbers in (("worst", wrong), ("best", best[:SHOWN]), ("middle", ranked[middle : middle + SHOWN])):
        for number in numbers:
            found.setdefault(number, why)
    return [(why, number) for why in ("worst", "middle", "best") for number in found if found[number] == why]


def hearings(material: SpeechMaterial, model: SpeechModel, scores: SpeechEvaluation, log_probs: Sequence[np.ndarray]) -> list[Hearing]:
    """Pictures of one utterance that is heard about as well as most, and of one that is heard badly."""
    numbers = material.numbers("test")
    lengths = material.frames[0].lengths[numbers] * material.features.hop_seconds
    rates = np.array([row["rate"] for row in scores.alignments], dtype=np.float64)
    errors = scores.errors
    usual = (errors["substitutions"] + errors["deletions"] + errors["insertions"]) / max(1, errors["tokens"])
    chosen = pictured(rates, lengths, usual)
    titles = ["an utterance with a usual rate", "one that is heard badly"]
    found = []
    for place, title in zip(chosen, titles, strict=False):
        text = f"{scores.alignments[place]['id']}, {format_share(rates[place])} errors"
        found.append(hearing(material, model, int(numbers[place]), log_probs[place], f"{text}: {title}"))
    return found


def pictured(rates: np.ndarray, lengths: np.ndarray, usual: float) -> list[int]:
    """Places of the utterances to draw, given the error rate and the seconds of each: the nearest to the usual rate, then the worst."""
    known = np.flatnonzero(np.isfinite(rates))
    if not len(known):
        return []
    short = known[lengths[known] <= SHORT_SECONDS]
    some = short if len(short) else known[np.argsort(lengths[known], kind="stable")][:PICTURES]
    near = some[np.lexsort((-lengths[some], np.abs(rates[some] - usual)))][0]
    worst = some[np.lexsort((-lengths[some], -rates[some]))][0]
    return list(dict.fromkeys([int(near), int(worst)]))[:PICTURES]


def hearing(material: SpeechMaterial, model: SpeechModel, number: int, log_probs_TV: np.ndarray, title: str) -> Hearing:
    """What the network makes of the utterance with this number in the corpus, at most MOST_SECONDS of it."""
    it, features, step = material.corpus.utterances[number], material.features, model.step_seconds
    hop, kind = features.hop_seconds, model.config.data.tokens or "phones"
    frames = np.asarray(material.frames[0][number])
    shown, steps = frames[: int(MOST_SECONDS / hop)], max(1, int(MOST_SECONDS / step))
    heard = [token for token in align(log_probs_TV, model.search(log_probs_TV)) if token.begin < steps]
    said = spans(it) if it.spans else []
    cut = f" The first {format_number(MOST_SECONDS)} of {format_number(hop * len(frames), 3)} s." if len(shown) < len(frames) else ""
    text = f"“{it.text}”" if it.text and said else f"Said: {written(it.tokens, kind)}"
    probabilities = np.exp(log_probs_TV[:steps].astype(np.float64))
    peaks = [token.begin + int(probabilities[token.begin : token.end, token.index].argmax()) for token in heard]
    bands = shown[:, int(features.energy) : features.statics]
    return Hearing(
        title=title,
        text=text + cut,
        energies=bands.tolist(),
        hop=hop,
        step=step,
        low=features.low,
        high=features.highest,
        tokens=[
            Heard(token=model.vocabulary[token.index - 1], begin=peak * step, end=(peak + 1) * step, confidence=token.confidence)
            for token, peak in zip(heard, peaks, strict=True)
        ],
        curves={model.vocabulary[index - 1]: probabilities[:, index].tolist() for index in dict.fromkeys(token.index for token in heard)},
        blank=probabilities[:, 0].tolist(),
        spans=[one for one in said if one["begin"] < MOST_SECONDS],
    )


def spans(it: Utterance) -> list[Heard]:
    """What is said, and when; nothing where that is not known, or the recording is not there any more: a picture is not worth the run."""
    if it.spans is None:
        return []
    try:
        rate = audio_info(it.audio).rate
    except DataError:
        return []
    return [
        Heard(token=token, begin=begin / rate, end=end / rate, confidence=None)
        for token, (begin, end) in zip(it.tokens, it.spans, strict=True)
    ]


def _new_voices(new: set[str], voices: set[str]) -> str:
    if len(new) == len(voices):
        return "none in training"
    return "all in training too" if not new else f"{len(new):,} of {len(voices):,} not in training"
