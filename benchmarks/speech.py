"""Error rates, speed and memory of a recogniser on a corpus of speech: trained from scratch by the default recipe, scored on its test part.

Real time: seconds of speech by seconds of work. Training counts each pass over the training part, decoding the features, the network and
the search over the test part. `--speakers-out` trains once for each speaker, or for each that is named, who is then all of the test part.
`--strings` joins takes of the test part, each speaker's own, into strings of three to seven, and scores what is heard in them too. `--live`
feeds noise, 10 ms at a time, to a network of one direction as large as the default one, and says how long each piece takes to be heard.
"""

import argparse
import resource
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import arguments, show, show_json
from benchmarks.training import apply_settings, say
from tidegate.config import build_settings
from tidegate.config_transcribe import TranscribeConfig
from tidegate.data.speech.audio import read_audio
from tidegate.data.speech.corpus import Corpus, Utterance
from tidegate.data.speech.features import log_mel
from tidegate.data.speech.normalise import Normaliser
from tidegate.evaluate.speech import constant_rival
from tidegate.nn import backend
from tidegate.nn.recogniser import RecogniserShape, build_recogniser
from tidegate.tasks.computing import computing
from tidegate.tasks.transcription.evaluation import GREEDY, MAIN, Scoring, SpeechEvaluation, evaluate_speech
from tidegate.tasks.transcription.fitting import fit_speech
from tidegate.tasks.transcription.keeping import score_part
from tidegate.tasks.transcription.live import LiveTranscriber
from tidegate.tasks.transcription.material import SpeechMaterial, complete, gather_speech
from tidegate.tasks.transcription.model import SpeechModel
from tidegate.tasks.transcription.verbs import open_corpus
from tidegate.train.events import EpochEnded, Event, Said

SHORTEST, LONGEST = 3, 7
"""Takes in a string."""
ROUNDS = 5
"""Each take is in so many strings."""


@dataclass(frozen=True)
class Trained:
    """A recogniser, what it was trained on, and how long that took."""

    model: SpeechModel
    material: SpeechMaterial
    passes: int
    seconds: float


def train(corpus: Corpus, config: TranscribeConfig, seed: int) -> Trained:
    """By the recipe of the settings."""
    seeded = config.model_copy(update={"training": config.training.model_copy(update={"seed": seed, "device": "cpu"})})
    whole = complete(seeded, corpus, torch.get_num_threads())
    material = gather_speech(corpus, whole)
    epochs = 0
    begin = time.perf_counter()

    def listen(event: Event) -> None:
        nonlocal epochs
        if isinstance(event, EpochEnded):
            epochs += 1
            say(f"epoch {epochs}: loss {event.train_loss:.3f}, dev {event.validation_loss:.4f}, {time.perf_counter() - begin:.0f} s")
        elif isinstance(event, Said):
            say(event.text)

    model = fit_speech(material, material.config, listen=listen).model
    return Trained(model, material, epochs, time.perf_counter() - begin)


def row_of(name: str, trained: Trained) -> dict[str, Any]:
    """What came of one training."""
    material = trained.material
    begin = time.perf_counter()
    scores, _ = score_part(material, trained.model, constant_rival(material.references(material.numbers("train"))))
    features_s = featured(material)
    decoding = time.perf_counter() - begin
    heard, told = spoken(material, "test"), spoken(material, "train")
    row = {"run": name, "seed": material.config.training.seed} | rates(scores, material.config)
    return row | {
        "train s": trained.seconds,
        "training x": told * trained.passes / trained.seconds,
        "decoding x": heard / decoding,
        "features s": features_s,
        "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def featured(material: SpeechMaterial) -> float:
    """Seconds that the frames of the test part take from the files on."""
    begin = time.perf_counter()
    for it in material.corpus.part("test"):
        log_mel(torch.from_numpy(read_audio(it.audio, material.features.rate)[0]), material.features)
    return time.perf_counter() - begin


def rates(scores: SpeechEvaluation, config: TranscribeConfig) -> dict[str, Any]:
    """Rates of the search and of the best path, and the parts of the first."""
    assert config.data.tokens is not None
    main, tokens = MAIN[config.data.tokens], scores.errors["tokens"]
    greedy = scores.baselines.get(GREEDY, scores.metrics)
    parts = {name[:3]: scores.errors[name] / tokens for name in ("substitutions", "deletions", "insertions")}
    return {**scores.metrics, **{f"{name} greedy": greedy[name] for name in scores.metrics}, **parts, "tokens": tokens, "by": main}


def spoken(material: SpeechMaterial, part: Any) -> float:
    """Seconds of speech in a part."""
    return float(material.frames[0].lengths[material.numbers(part)].sum()) * material.features.hop_seconds


def string_row(trained: Trained, seed: int) -> dict[str, Any]:
    """Rates on strings of joined test takes."""
    strings = strings_of(trained.material.corpus.part("test"), np.random.default_rng(seed))
    model, material = trained.model, trained.material
    with computing(material.config.training.threads):
        frames = []
        for takes in strings:
            samples = np.concatenate([read_audio(it.audio, material.features.rate)[0] for it in takes])
            frame = log_mel(torch.from_numpy(samples), material.features)
            frames.append(model.normaliser.apply(frame, material.speakers.get(("test", takes[0].speaker))))
        log_probs = model.log_probs(frames)
    best_path = [model.named([token.index for token in model.best_path(one)]) for one in log_probs]
    own = [model.named(model.search(one)) for one in log_probs]
    said = [_joined(takes) for takes in strings]
    scores = evaluate_speech("", Scoring.of(material.config, material.corpus.kind), said, own, {GREEDY: best_path}, [])
    return {"run": f"{len(strings)} strings", "seed": material.config.training.seed} | rates(scores, material.config)


def strings_of(takes: Sequence[Utterance], random: np.random.Generator) -> list[list[Utterance]]:
    """Each take in ROUNDS strings of SHORTEST to LONGEST takes of its speaker; what is too few for a string at the end is left out."""
    strings = []
    for speaker in sorted({it.speaker for it in takes}):
        own = [it for it in takes if it.speaker == speaker]
        for _ in range(ROUNDS):
            waiting = [own[number] for number in random.permutation(len(own))]
            while len(waiting) >= SHORTEST:
                count = int(random.integers(SHORTEST, LONGEST, endpoint=True))
                strings.append(waiting[:count])
                waiting = waiting[count:]
    return [string for string in strings if len(string) >= SHORTEST]


def _joined(takes: Sequence[Utterance]) -> Utterance:
    tokens = tuple(token for it in takes for token in it.tokens)
    return Utterance(" ".join(it.id for it in takes), takes[0].audio, tokens, "", takes[0].speaker, "test")


def live_row(seconds: float = 20.0) -> dict[str, Any]:
    """Milliseconds from a piece of 10 ms to what it says, by a causal network of 3 x 256 with initial weights: others take as long."""
    tree = {"data": {"rate": 16_000, "tokens": "phones", "normalisation": "global"}, "network": {"name": "causal-lstm"}}
    config = build_settings(tree, TranscribeConfig)
    shape = RecogniserShape(config.data.bands, 1, 40)
    network = build_recogniser(shape, config.network).eval()
    normaliser = Normaliser.fit("global", [np.random.default_rng(0).standard_normal((100, config.data.bands))])
    model = SpeechModel(config, shape, tuple(f"p{number}" for number in range(40)), normaliser, network, 0)
    live, noise = LiveTranscriber(model), np.random.default_rng(1).normal(0.0, 0.1, int(seconds * 16_000)).astype(np.float32)
    times = []
    for piece in np.split(noise[: len(noise) // 160 * 160], len(noise) // 160):
        begin = time.perf_counter()
        live.feed(piece)
        times.append(1e3 * (time.perf_counter() - begin))
    late = {"median ms": statistics.median(times), "99 % ms": float(np.quantile(times, 0.99)), "longest ms": max(times)}
    return {"run": "live, pieces of 10 ms", **late, "waits ms": 1e3 * live.latency_seconds}


def measured(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each training, and for its strings; the mean over them where there are several."""
    given = {"kind": options.kind, "tokens": options.tokens, "on_bad": options.on_bad}
    config = build_settings(apply_settings({"data": given}, options.set), TranscribeConfig)
    corpus = open_corpus(options.corpus, config)
    for note in corpus.notes:
        say(note)
    every = sorted({it.speaker for it in corpus.utterances})
    speakers = [""] if options.speakers_out is None else options.speakers_out or every
    rows = []
    for speaker in speakers:
        part = open_corpus(options.corpus, without(config, speaker)) if speaker else corpus
        for seed in range(options.seeds):
            trained = train(part, config, seed)
            rows.append(row_of(f"without {speaker}" if speaker else "test", trained))
            rows += [string_row(trained, seed)] if options.strings else []
            say(str(rows[-1]))
    return rows + means(rows)


def without(config: TranscribeConfig, speaker: str) -> TranscribeConfig:
    """The settings with one speaker as the test part."""
    return config.model_copy(update={"data": config.data.model_copy(update={"test_speakers": (speaker,)})})


def means(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of all trainings, and of all strings."""
    found = []
    for name, some in (
        ("mean", [row for row in rows if "train s" in row]),
        ("mean of strings", [row for row in rows if "train s" not in row]),
    ):
        if len(some) > 1:
            numbers = {key for key, value in some[0].items() if isinstance(value, float)}
            found.append({"run": name, **{key: statistics.mean(row[key] for row in some) for key in some[0] if key in numbers}})
    return found


def main() -> None:
    """Measure and print."""
    parser = arguments("speech", "Error rates, speed and memory of a recogniser on a corpus of speech.")
    parser.add_argument("corpus", type=Path, nargs="?")
    parser.add_argument("--kind", choices=["timit", "folder", "manifest", "fsdd"], help="default: recognised")
    parser.add_argument("--tokens", choices=["phones", "characters", "words"], help="default: as the kind of corpus has it")
    parser.add_argument("--on-bad", choices=["skip", "refuse"], default="skip")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--speakers-out", nargs="*", metavar="NAME", help="leave out one speaker at a time: each, or these")
    parser.add_argument("--strings", action="store_true", help="also score strings of three to seven joined takes")
    parser.add_argument("--live", action="store_true", help="also measure how soon live speech is heard")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="one setting of the recipe; may be repeated")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = ([live_row()] if options.live else []) + (measured(options) if options.corpus else [])
    facts = {"backend": str(backend()), "threads": options.threads}
    if options.json:
        show_json("speech", {"rows": rows, **facts})
    else:
        show("speech", rows, facts)


if __name__ == "__main__":
    main()
