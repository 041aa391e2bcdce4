"""A corpus in the shape of TIMIT (Garofolo et al. 1993) that may be given away: sentences made by chance, read by espeak-ng's voices.

It proves the whole way from files to phones and has exact labels, but formant synthesis is far easier than speech: a model trained on it
recognises no human, and its error rates do not compare with those of TIMIT.

    OUT/TRAIN|TEST/DRn/SPEAKER/SENTENCE.WAV   NIST SPHERE, 16 kHz, 16 bits
                                       .PHN   begin, end and TIMIT's label of segments that tile the file
                                       .WRD   begin, end and text of each word
                                       .TXT   begin, end and text of the sentence

Speakers and sentences of TRAIN are not in TEST, but for the sentences SA1 and SA2, which all speakers read. The same seed gives the same
bytes.
"""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.common import arguments, show, show_json
from benchmarks.espeak import MEN, WOMEN, Request, Segment, Spoken, speak
from benchmarks.speech_prompts import SHARED, made_prompts, read_prompts
from tidegate.data.speech.phones import CORE_TEST, DEVELOPMENT, PHONES_61
from tidegate.errors import DataError, SettingsError, TidegateError

RATE = 16_000
SIDES = ("TRAIN", "TEST")
REGIONS = 8
SHORT_SENTENCES = 450
"""TIMIT's numbers: SX up to this, SI above."""
PADDING_SECONDS = (0.05, 0.3)
NOISE_DECIBELS = (15.0, 35.0)
"""Of the speech above the noise."""
NOISE_SAMPLES = 2**17
"""Eight seconds."""
LEVEL_DECIBELS = (-32.0, -20.0)
"""Of the speech below full scale, by its root mean square; its peaks stay below full scale."""


class Speaker(NamedTuple):
    """A voice with its way of speaking, and the chance that its utterances depend on."""

    voice: str
    folder: str
    rate: float
    pitch: float
    pitch_range: float
    level: float
    colour: float
    """Of the noise: 0 is white, 1 has as much power in each octave."""
    seed: tuple[int, ...]


class Sentence(NamedTuple):
    """Its name, as SX3, and its text."""

    name: str
    text: str


def make_corpus(out: Path, voices: int = 48, sentences: int = 22, seed: int = 0, prompts: Path | None = None) -> list[dict[str, Any]]:
    """Write the corpus; counts of TRAIN and of TEST.

    out        a folder that does not exist, or is empty
    voices     speakers, 2 to 78: a quarter women, as far as there are voices
    sentences  that each of them reads, beside SA1 and SA2, and nobody else
    prompts    a file with a sentence a line; None: sentences made by chance

    Raises DataError where there are too few sentences, SettingsError where `out` holds something or a package is missing.
    """
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise SettingsError(f"{out} is there and holds something; expected a new or an empty folder. Give another.")
    if not 2 <= voices <= len(WOMEN) + len(MEN) or sentences < 1:
        raise SettingsError(f"{voices} voices, {sentences} sentences; expected 2 to {len(WOMEN) + len(MEN)} voices, 1 sentence or more.")
    needed = voices * sentences
    given = read_prompts(prompts) if prompts else made_prompts(max(1200, needed), seed)
    texts = [text for text in given if text not in SHARED]
    if len(texts) < needed:
        raise DataError(f"{prompts} has {len(texts)} sentences; expected {needed}, {sentences} of each speaker. Ask for fewer voices.")
    order = np.random.default_rng([seed, 1]).permutation(len(texts))
    speakers = _speakers(voices, seed)
    common = [Sentence(f"SA{number}", text) for number, text in enumerate(SHARED, 1)]
    work = []
    for number, speaker in enumerate(speakers):
        own = sorted(order[number * sentences : (number + 1) * sentences] + 1)
        named = [Sentence(f"{'SX' if index <= SHORT_SENTENCES else 'SI'}{index}", texts[index - 1]) for index in own]
        work.append((out, speaker, [*common, *named]))
    with ThreadPoolExecutor(os.cpu_count()) as threads:  # each waits for the process of its voice
        labels = list(threads.map(lambda one: _record(*one), work))
    return [_counts(side, [found for speaker, found in zip(speakers, labels, strict=True) if side in speaker.folder]) for side in SIDES]


def _speakers(voices: int, seed: int) -> list[Speaker]:
    """Women first; every fourth speaker is in TEST; the regions take turns."""
    random = np.random.default_rng([seed, 2])
    women = min(len(WOMEN), max(1, round(voices / 4)))
    chosen = [("F", voice) for voice in random.permutation(WOMEN)[:women]]
    chosen += [("M", voice) for voice in random.permutation(MEN)[: voices - women]]
    taken = {name.upper() for name in (*CORE_TEST, *DEVELOPMENT)}  # readers would take them for these
    letters = list("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    counts = dict.fromkeys(SIDES, 0)
    speakers = []
    for number, (sex, voice) in enumerate(chosen):
        name = sex
        while name == sex or name in taken:
            name = sex + "".join(random.choice(letters, 3)) + "0"
        taken.add(name)
        side = SIDES[number % 4 == 1]
        folder = f"{side}/DR{counts[side] % REGIONS + 1}/{name}"
        counts[side] += 1
        rate, pitch, pitch_range = random.normal((170, 50, 50), (12, 8, 12))
        level, colour = random.uniform(*LEVEL_DECIBELS), random.uniform()
        speakers.append(Speaker(str(voice), folder, rate, pitch, pitch_range, level, colour, (seed, 3, number)))
    return speakers


def _record(out: Path, speaker: Speaker, sentences: Sequence[Sentence]) -> list[list[Segment]]:
    """All sentences of a speaker to files; the segments of each."""
    soundfile = _package("soundfile")
    random = np.random.default_rng(speaker.seed)
    requests = [_request(sentence.text, speaker, random) for sentence in sentences]
    folder = out / speaker.folder
    folder.mkdir(parents=True)
    noise = _noise(speaker.colour, random)
    found = []
    for sentence, spoken in zip(sentences, speak(speaker.voice, requests), strict=True):
        samples, segments, words = _room(spoken, sentence.text, speaker.level, noise, random)
        with (folder / f"{sentence.name}.WAV").open("wb") as file:
            soundfile.write(file, samples, RATE, format="NIST", subtype="PCM_16", endian="LITTLE")
        for suffix, lines in (("PHN", segments), ("WRD", words), ("TXT", [Segment(0, len(samples), sentence.text)])):
            text = "".join(f"{line.begin} {line.end} {line.label}\n" for line in lines)
            (folder / f"{sentence.name}.{suffix}").write_text(text, encoding="utf-8", newline="\n")
        found.append(segments)
    return found


def _request(text: str, speaker: Speaker, random: np.random.Generator) -> Request:
    """The speaker's way, a little different each time; within what espeak-ng takes."""
    rate, pitch, pitch_range = random.normal((speaker.rate, speaker.pitch, speaker.pitch_range), (6, 3, 5))
    return Request(text, round(float(np.clip(rate, 130, 220))), *(round(float(np.clip(it, 15, 85))) for it in (pitch, pitch_range)))


def _room(
    spoken: Spoken, text: str, level: float, noise: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, list[Segment], list[Segment]]:
    """Samples [N] of 16 bits at RATE with silence around the speech and noise over all; segments and words in these samples."""
    speech = _package("soxr").resample(spoken.samples.astype(np.float64), spoken.rate, RATE, "HQ")
    before, after = (int(RATE * seconds) for seconds in random.uniform(*PADDING_SECONDS, 2))
    samples = np.pad(speech, (before, after))

    def moved(place: int) -> int:
        return before + min(round(place * RATE / spoken.rate), len(speech))

    segments = [Segment(moved(it.begin), moved(it.end), it.label) for it in spoken.segments]
    segments[0], segments[-1] = segments[0]._replace(begin=0), segments[-1]._replace(end=len(samples))
    words = [Segment(moved(it.begin), moved(it.end), it.label) for it in _words(spoken, text)]
    loudness = float(np.sqrt(np.square(speech).mean()))
    gain = min(10.0 ** ((level + random.normal(0.0, 1.5)) / 20.0) / loudness, 0.9 / float(np.abs(samples).max()))
    below = 10.0 ** (-random.uniform(*NOISE_DECIBELS) / 20.0)
    samples = gain * (samples + loudness * below * noise.take(random.integers(len(noise)) + np.arange(len(samples)), mode="wrap"))
    return np.clip(np.rint(32767.0 * samples), -32768, 32767).astype(np.int16), segments, words


def _noise(colour: float, random: np.random.Generator) -> np.ndarray:
    """Some seconds that may be repeated: deviation 1, power falling with frequency to the power of `colour`."""
    spectrum = np.fft.rfft(random.standard_normal(NOISE_SAMPLES))
    spectrum[1:] /= np.arange(1, len(spectrum)) ** (colour / 2.0)
    spectrum[0] = 0.0
    noise = np.fft.irfft(spectrum, NOISE_SAMPLES)
    return noise / noise.std()


def _words(spoken: Spoken, text: str) -> list[Segment]:
    """Words, each of whole segments up to the next word or a pause. espeak-ng tells no beginning of a word that it says in one with the one
    before ('of the'): such share their segments as they share the letters."""
    sounds = [it for it in spoken.segments[1:-1] if it.label != "pau"]
    begins = {place: min(range(len(sounds)), key=lambda number: abs(sounds[number].begin - begin)) for begin, place in spoken.words}
    groups: list[tuple[int, list[str]]] = []
    for match in re.finditer(r"\S+", text):
        word = re.sub(r"[^\w'-]", "", match[0]).lower().strip("-")
        begin = begins.get(match.start(), 0) if groups else 0
        if word and (not groups or begin > groups[-1][0]):
            groups.append((begin, [word]))
        elif word:
            groups[-1][1].append(word)
    words = []
    for (begin, group), (end, _) in zip(groups, [*groups[1:], (len(sounds), [])], strict=True):
        letters = np.cumsum([0, *map(len, group)])
        cuts = begin + np.rint(letters * (end - begin) / letters[-1]).astype(int)
        for word, first, behind in zip(group, cuts[:-1], cuts[1:], strict=True):
            first = min(first, end - 1)
            words.append(Segment(sounds[first].begin, sounds[max(first, behind - 1)].end, word))
    return words


def _counts(side: str, speakers: list[list[list[Segment]]]) -> dict[str, Any]:
    utterances = [segments for speaker in speakers for segments in speaker]
    seconds = sum(segments[-1].end for segments in utterances) / RATE
    labels = Counter(segment.label for segments in utterances for segment in segments)
    phones = sum(labels.values()) - labels["h#"]
    return {
        "part": side,
        "speakers": len(speakers),
        "utterances": len(utterances),
        "seconds": round(seconds, 1),
        "phones": phones,
        "phones_per_second": round(phones / seconds, 2),
        "labels": dict(labels),
    }


def checksum(out: Path) -> str:
    """SHA-256 of all labels and texts with their names: whether two corpora hold the same. Audio may differ in its last bit between
    versions of soxr."""
    digest = hashlib.sha256()
    for file in sorted(out.rglob("*")):
        if file.suffix in (".PHN", ".WRD", ".TXT"):
            digest.update(file.relative_to(out).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError:
        message = f"A speech corpus needs {name}, which is not installed. Install it with: pip install 'tidegate[speech,synthesis]'."
        raise SettingsError(message) from None


def main() -> None:
    """Write the corpus and print what it holds."""
    parser = arguments(
        "make_speech_corpus", "A synthetic corpus in the shape of TIMIT, for trials: no human is recognised by what it teaches."
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to write; new or empty")
    parser.add_argument("--voices", type=int, default=48, help="speakers, a quarter of them in TEST (default: 48)")
    parser.add_argument("--sentences", type=int, default=22, help="of each speaker, beside the two that all read (default: 22)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same corpus (default: 0)")
    parser.add_argument("--prompts", type=Path, metavar="FILE", help="a sentence a line (default: sentences made by chance)")
    options = parser.parse_args()
    try:
        rows = make_corpus(options.out, options.voices, options.sentences, options.seed, options.prompts)
    except TidegateError as error:
        parser.error(str(error))
    used = {label for row in rows for label in row["labels"]}
    facts = {"labels": f"{len(used)} of {len(PHONES_61)}", "absent": " ".join(sorted({*PHONES_61} - used)), "sha256": checksum(options.out)}
    if options.json:
        show_json("make_speech_corpus", {"parts": rows, **facts})
    else:
        show("make_speech_corpus", [{name: value for name, value in row.items() if name != "labels"} for row in rows], facts)


if __name__ == "__main__":
    main()
