"""A language of whistles, spoken by a seed: small corpora and small settings, so that a training takes seconds.

A letter is a whistle of its own pitch, a tenth of a second long; a word is two or three letters. Speakers whistle a little higher or lower.
"""

import wave
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.config import build_settings
from tidegate.config_transcribe import TranscribeConfig

RATE = 8000
PITCHES = {"a": 500.0, "b": 900.0, "c": 1500.0, "d": 2400.0, " ": 0.0}
WORDS = ("ab", "ba", "cad", "dab", "bad", "ca", "dc")
NETWORK = {"hidden": 8, "layers": 1, "filters": 2, "dropout": 0.0, "pooling": 2}
TRAINING: dict[str, Any] = {
    "max_epochs": 2,
    "batch_frames": 400,
    "learning_rate": 0.02,
    "speeds": [1.0],
    "tempo": 0.0,
    "threads": 1,
    "device": "cpu",
}
DATA = {"bands": 16}
DECODING = {"beam": 4, "order": 2}
SETTINGS = {"network": NETWORK, "training": TRAINING, "data": DATA, "decoding": DECODING}
COMMAND = [part for section, values in SETTINGS.items() for key, value in values.items() for part in ("--set", f"{section}.{key}={value}")]
"""The same as words of a command line."""


def settings(**changes: Any) -> dict[str, Any]:
    """The tree of small settings: sections as keywords, over the small ones."""
    return {section: {**values, **changes.get(section, {})} for section, values in SETTINGS.items()}


def config(**changes: Any) -> TranscribeConfig:
    return build_settings(settings(**changes), TranscribeConfig)


def whistle(text: str, seed: int = 0, pitch: float = 1.0, rate: int = RATE) -> np.ndarray:
    """Samples float32 [N] of a text, with faint noise and a little silence at both ends."""
    random = np.random.default_rng(seed)
    pieces = [np.zeros(int(0.05 * rate))]
    for letter in text:
        time = np.arange(int(random.uniform(0.09, 0.12) * rate)) / rate
        pieces += [0.3 * np.sin(2 * np.pi * PITCHES[letter] * pitch * time), np.zeros(int(0.02 * rate))]
    samples = np.concatenate([*pieces, np.zeros(int(0.05 * rate))])
    return (samples + random.normal(0, 0.002, len(samples))).astype(np.float32)


def write_wav(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    """16 bits, one channel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm(samples))
    return path


def pcm(samples: np.ndarray) -> bytes:
    """Raw PCM of 16 bits."""
    return np.round(samples * 32767).astype("<i2").tobytes()


def sentence(random: np.random.Generator) -> str:
    return " ".join(random.choice(WORDS, random.integers(1, 3)))


def write_corpus(root: Path, speakers: tuple[str, ...] = ("anna", "bert", "carl"), train: int = 4, held: int = 1, seed: int = 0) -> Path:
    """root/{train,dev,test}/SPEAKER/NUMBER.wav and .txt: of each speaker so many for training and for each other part."""
    random = np.random.default_rng(seed)
    for place, speaker in enumerate(speakers):
        for number in range(train + 2 * held):
            part = "train" if number < train else "dev" if number < train + held else "test"
            text = sentence(random)
            stem = root / part / speaker / f"{number:02}"
            write_wav(stem.with_suffix(".wav"), whistle(text, int(random.integers(1 << 30)), 1.0 + 0.03 * place))
            stem.with_suffix(".txt").write_text(text + "\n")
    return root
