"""espeak-ng's formant voices: audio, and TIMIT's labels of it with their exact boundaries.

Uses the C library in the package espeakng-loader (extra `synthesis`). Its audio is formant synthesis: a burst sounds the same each time,
and sounds hardly change with their neighbours.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tidegate.errors import DataError, SettingsError

WOMEN = ("Andrea", "Annie", "anika", "aunty", "belinda", "f1", "grandma", "linda", "steph", "steph2", "steph3")
_MEN = """
Alex Andy AnxiousAndy Denis Diogo Gene Gene2 Henrique Hugo Jacky Lee Mario Michael Mike Nguyen Reed Storm Tweaky adam antonio benjamin boris
caleb croak david ed edward edward2 fast grandpa gustave ian iven iven2 iven3 iven4 john kaukovalta klatt klatt2 klatt3 klatt4 klatt5 klatt6
m1 m3 m4 m5 m6 m7 m8 marcelo max michel miguel mike2 norbert paul pedro quincy rob robert sandro travis victor shelby zac
"""
MEN = tuple(_MEN.split())
"""All variants of the voice en-us in version 1.52 but whispers, and those with an echo, which fills the closures of stops."""

CLOSURE_SECONDS = 0.015
"""Zeros before a stop's burst that are a closure of its own. Shorter ones (9 ms) stand between many words, before other sounds too."""
SHORTEST_SECONDS = 0.01
"""What is shorter has no sound of its own: espeak-ng says many an l within the vowel before it, and reports it at the vowel's end."""
CLOSURES = {"p": "pcl", "t": "tcl", "k": "kcl", "b": "bcl", "d": "dcl", "g": "gcl", "ch": "tcl", "jh": "dcl"}
PAUSES = ("_", "_:", "_!", "_|")
PALATAL = ";"
"""Belongs to the sound before it."""
LABELS: dict[str, str] = {
    # vowels
    "i:": "iy", "i": "iy", "I": "ih", "I#": "ix", "I2": "ix", "E": "eh", "a": "ae", "aa": "ae", "A:": "aa", "0": "aa", "A~": "aa",
    "O:": "ao", "O2": "ao", "O": "ao", "O~": "ao", "V": "ah", "U": "uh", "u:": "uw", "eI": "ey", "aI": "ay", "OI": "oy", "aU": "aw",
    "oU": "ow", "@": "ax", "@2": "ax", "a#": "ax", "@-": "ax-h", "3:": "er", "3": "axr",
    # vowels that are two of TIMIT's
    "A@": "aa r", "O@": "ao r", "o@": "ao r", "e@": "eh r", "U@": "uh r", "i@3": "ih r", "aI3": "ay axr", "aI@": "ay ax", "i@": "iy ax",
    # stops, affricates
    "p": "p", "b": "b", "t": "t", "t2": "t", "d": "d", "k": "k", "g": "g", "t#": "dx", "?": "q", "tS": "ch", "dZ": "jh",
    # fricatives
    "f": "f", "v": "v", "T": "th", "D": "dh", "s": "s", "z": "z", "S": "sh", "Z": "zh", "h": "hh", "x": "hh",
    # nasals, liquids, glides
    "m": "m", "n": "n", "N": "ng", "n-": "en", "l": "l", "@L": "el", "r": "r", "r-": "r", "w": "w", "j": "y",
}  # fmt: skip
"""TIMIT's labels of the phonemes of en-us. Of the 61, six never occur: em, eng, epi, hv, nx, ux."""


class Request(NamedTuple):
    """A sentence and how it is said: words a minute, pitch and its range from 0 to 100."""

    text: str
    rate: int = 175
    pitch: int = 50
    pitch_range: int = 50


class Segment(NamedTuple):
    """Samples from begin to end, exclusive, and what they are."""

    begin: int
    end: int
    label: str


class Spoken(NamedTuple):
    """16-bit samples [N] at `rate`, segments that tile them, and where in the audio the word at a place of the text begins."""

    samples: np.ndarray
    rate: int
    segments: tuple[Segment, ...]
    words: tuple[tuple[int, int], ...]


def speak(voice: str, requests: Sequence[Request]) -> list[Spoken]:
    """What a voice of WOMEN or MEN says; the same whenever it is asked for the same.

    Raises SettingsError where espeakng-loader is not installed, DataError where espeak-ng fails or says a phoneme without a label.
    """
    try:
        loader = import_module("espeakng_loader")
    except ModuleNotFoundError:
        raise SettingsError(
            "Synthetic speech needs espeakng-loader, which is not installed. Install it with: pip install 'tidegate[synthesis]'."
        ) from None
    job = {"library": loader.get_library_path(), "data": loader.get_data_path(), "voice": voice, "requests": requests}
    worker = [sys.executable, "-I", str(Path(__file__).with_name("espeak_worker.py"))]
    done = subprocess.run(worker, input=json.dumps(job).encode(), capture_output=True, check=False)
    if done.returncode:
        reason = (done.stderr.decode("utf-8", "replace").strip().splitlines() or [f"its process ended with {done.returncode}"])[-1]
        raise DataError(f"espeak-ng failed for the voice '{voice}': {reason}. Expected version 1.52, as in espeakng-loader 0.2.4.")
    header, _, rest = done.stdout.partition(b"\n")
    facts, samples, first = json.loads(header), np.frombuffer(rest, np.int16), 0
    spoken = []
    for request, said in zip(requests, facts["said"], strict=True):
        own = samples[first : first + said["samples"]]
        first += said["samples"]
        words = tuple((begin, place) for begin, place in said["words"])
        spoken.append(Spoken(own, facts["rate"], segments_of(own, facts["rate"], said["phones"], request.text), words))
    return spoken


def segments_of(samples: np.ndarray, rate: int, phones: Sequence[tuple[int, str]], text: str) -> tuple[Segment, ...]:
    """TIMIT's labels of phonemes that begin at given samples. Together they tile the samples, h# at both ends.

    Zeros before a stop's burst are its closure, or part of a glottal stop; but not after a pause, from which they are not told. A phoneme
    that is two labels is cut in the middle. One without a sound of its own, as an l after a vowel, shares that before it. Raises DataError
    for an unknown phoneme, and where there is no sound.
    """
    stressless = [(begin, given.lstrip("',%=")) for begin, given in phones]  # version 1.52 puts marks of stress before
    sounds = [(begin, mnemonic) for begin, mnemonic in stressless if mnemonic != PALATAL]
    if all(mnemonic in PAUSES for _, mnemonic in sounds):
        raise DataError(f"the sentence '{text}' has no sound; leave it out.")
    following = [*sounds[1:], (len(samples), "_")]
    segments = [Segment(0, sounds[0][0], "pau")]
    silent = 0  # zeros that a glottal stop begins with
    for (begin, mnemonic), (end, successor) in zip(sounds, following, strict=True):
        labels, stop = _labels(mnemonic, successor, text), _labels(successor, "", text)[0]
        begin -= silent
        zeros = _zeros(samples[begin:end], rate) if labels[0] != "pau" and stop in {*CLOSURES, "q"} else 0
        sounding = end - zeros
        if sounding - begin < SHORTEST_SECONDS * rate and "pau" not in (labels[0], segments[-1].label):
            begin = (segments[-1].begin + sounding) // 2
            segments[-1] = segments[-1]._replace(end=begin)
        middle = (begin + sounding) // 2
        cuts = [begin, middle, sounding] if len(labels) == 2 else [begin, sounding]
        segments += map(Segment, cuts, cuts[1:], labels)
        if zeros and stop != "q":
            segments.append(Segment(sounding, end, CLOSURES[stop]))
        silent = zeros if stop == "q" else 0
    return _with_silence([*segments, Segment(len(samples), len(samples), "pau")])


def _labels(mnemonic: str, successor: str, text: str) -> list[str]:
    """One or two; an r is not said twice where the next phoneme is one."""
    if mnemonic in PAUSES:
        return ["pau"]
    if mnemonic not in LABELS:
        raise DataError(f"the sentence '{text}' has espeak-ng's phoneme '{mnemonic}', for which no label is known; leave it out.")
    labels = LABELS[mnemonic].split()
    return labels[:1] if labels[-1] == "r" == LABELS.get(successor) else labels


def _zeros(samples: np.ndarray, rate: int) -> int:
    """How many samples are zero at the end; 0 where they are fewer than a closure has."""
    sounding = np.flatnonzero(samples)
    zeros = len(samples) - (int(sounding[-1]) + 1 if len(sounding) else 0)
    return zeros if zeros >= CLOSURE_SECONDS * rate else 0


def _with_silence(segments: list[Segment]) -> tuple[Segment, ...]:
    """The first and last, which are pauses, as h#; without empty segments between them, and pauses next to each other as one."""
    joined = segments[:1]
    for segment in segments[1:]:
        if segment.label == joined[-1].label == "pau":
            joined[-1] = joined[-1]._replace(end=segment.end)
        elif segment.end > segment.begin or segment is segments[-1]:
            joined.append(segment)
    joined[0] = joined[0]._replace(label="h#")
    joined[-1] = joined[-1]._replace(label="h#")
    return tuple(joined)
