"""Audio files as samples: WAV, FLAC, OGG and NIST SPHERE, told apart by what they hold, not by their names.

Letters: N samples in time, C channels. Needs the extra `speech` (soundfile, soxr), which is imported at the first file.
libsndfile reads a SPHERE, WAV or OGG file that was cut off as a shorter one and says nothing, so their own headers are checked here.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.data.read import reading
from tidegate.errors import DataError, SettingsError

AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".sph", ".nist", ".mp3", ".m4a", ".aif", ".aiff", ".au", ".wma"})
"""Names of files that are taken for audio in a folder; those that libsndfile cannot read are refused, not passed over."""
LOWEST_RATE = 4_000
"""Hz; up to 2 kHz there is too little of speech to tell its sounds apart, so a lower rate is a wrong header."""
HIGHEST_RATE = 384_000
LONGEST = 24 * 3600
"""Seconds; more is a damaged header, whose samples would not fit into memory."""
LOUDEST = 16.0
"""Full scale is 1. A mix or a lossy codec goes a little beyond; values of 16 bits written as floats go far beyond."""
UNKNOWN_SIZE = 0x7FFF_F000
"""What is written for the length of a WAV file that is piped, or more (SoX: this one, FFmpeg: 0xFFFFFFFF)."""
_FORMATS = "expected WAV, FLAC, OGG or SPHERE"


@dataclass(frozen=True)
class AudioInfo:
    """What a header says: rate in Hz, frames (samples in time), channels."""

    rate: int
    frames: int
    channels: int


def audio_info(path: str | Path) -> AudioInfo:
    """What the header of a file says; the samples are not read.

    Raises DataError, naming the file, where there is none, and for one that is empty, cut off, damaged, compressed by Shorten,
    no audio, without a sample, longer than a day, or of a rate below 4,000 or above 384,000 Hz; SettingsError where soundfile is
    not installed.
    """
    with _opened(Path(path)) as sound:
        return AudioInfo(sound.samplerate, sound.frames, sound.channels)


def read_audio(path: str | Path, rate: int | None = None) -> tuple[np.ndarray, int]:
    """Samples float32 [N], the mean of all channels, full scale at -1 and 1, and their rate in Hz.

    rate  resampled to this, if given and not the file's own

    Lossy codecs and resampling may overshoot full scale a little. Raises what `audio_info` does, and DataError for samples that
    are not finite, beyond any scale of floats, or all the same (digital silence).
    """
    path = Path(path)
    with _opened(path) as sound:
        own_rate, frames, channels, form = sound.samplerate, sound.frames, sound.channels, sound.format
        samples_NC = sound.read(dtype="float32", always_2d=True)
    if len(samples_NC) < frames and form != "MP3":  # the length of an MP3 file is an estimate
        raise DataError(f"{path} is cut off: {len(samples_NC):,} of {frames:,} samples can be read. Copy it again, or leave it out.")
    samples = samples_NC[:, 0] if channels == 1 else samples_NC.mean(axis=1)
    _check_samples(samples, channels, path)
    if rate is not None and rate != own_rate:
        return resample(samples, own_rate, rate), rate
    return samples, own_rate


def resample(samples: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """Samples float32 [N] at another rate in Hz, [N * new_rate / rate], by soxr at its quality HQ (20 bits, linear phase).

    Raises SettingsError where soxr is not installed.
    """
    try:
        import soxr
    except ImportError:
        raise missing("soxr") from None
    return soxr.resample(samples, rate, new_rate, quality="HQ")


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The checked file as a soundfile.SoundFile; what libsndfile cannot do with it becomes a DataError.

    It is given the open file rather than the name, because libsndfile guesses from some endings.
    """
    try:
        import soundfile
    except ImportError:
        raise missing("soundfile") from None
    with reading(path) as found, found.open("rb", buffering=0) as file:
        _check_header(file, path)
        file.seek(0)
        try:
            with soundfile.SoundFile(file.fileno(), closefd=False) as sound:
                _check_facts(sound, path)
                yield sound
        except soundfile.LibsndfileError as error:
            raise DataError(f"{path} is damaged, or no audio: {error.error_string} {_FORMATS}. Convert it, or leave it out.") from None


def missing(package: str) -> SettingsError:
    """That a package of the extra is not there, to be raised."""
    return SettingsError(f"Audio needs {package}, which is not installed. Install it with: pip install 'tidegate[speech]'.")


def _check_facts(sound: Any, path: Path) -> None:
    if not LOWEST_RATE <= sound.samplerate <= HIGHEST_RATE:
        expected = f"expected {LOWEST_RATE:,} to {HIGHEST_RATE:,} Hz"
        raise DataError(f"{path} has a rate of {sound.samplerate:,} Hz; {expected}. Its header is wrong, or it is no speech: leave it out.")
    if sound.frames < 1:
        raise DataError(f"{path} has a header, but no sample. Record or copy it again, or leave it out.")
    if sound.frames > LONGEST * sound.samplerate:
        hours = sound.frames / sound.samplerate / 3600
        raise DataError(f"{path} would last {hours:,.0f} hours by its header; expected a day at most. It is damaged: copy it again.")


def _check_samples(samples: np.ndarray, channels: int, path: Path) -> None:
    if not np.isfinite(samples).all():
        bad = int(np.flatnonzero(~np.isfinite(samples))[0])
        raise DataError(f"{path}: sample {bad:,} is {samples[bad]}; expected finite numbers. Make it anew, or leave it out.")
    low, high = float(samples.min()), float(samples.max())
    if low == high:
        mixed = f" once its {channels} channels are averaged" if channels > 1 else ""
        raise DataError(f"{path} is digital silence: all {len(samples):,} samples are {low:g}{mixed}. Record it again, or leave it out.")
    if max(-low, high) > LOUDEST:
        raise DataError(f"{path} holds floats up to {max(-low, high):g}; expected -1 to 1. Divide them, such as by 32768 for 16 bits.")


def _check_header(file: FileIO, path: Path) -> None:
    """Whether all the bytes that the header promises are there."""
    size = os.fstat(file.fileno()).st_size
    if not size:
        raise DataError(f"{path} is empty (0 bytes); expected audio. Copy it again, or leave it out.")
    magic = file.read(12)
    promised = None
    if magic.startswith(b"NIST_1A"):
        promised = _sphere_size(file, path)
    elif magic[:4] in (b"RIFF", b"RIFX", b"RF64") and magic[8:] == b"WAVE":
        promised = _wav_size(file, size)
    elif magic.startswith(b"OggS"):
        promised = _ogg_size(file, size)
    if promised is not None and size < promised:
        raise DataError(f"{path} is cut off: {size:,} of {promised:,} bytes are there. Copy it again, or leave it out.")


def _sphere_size(file: FileIO, path: Path) -> int | None:
    """Bytes of a SPHERE file by its header (NIST SPHERE 2.6, header.doc); None where it does not say."""
    file.seek(0)
    start = file.read(16)
    length = start[8:16].strip()
    header = start + file.read(int(length) - 16) if length.isdigit() and 16 < int(length) < 1 << 20 else b""
    text, found, _ = header.partition(b"end_head")
    if not found:
        raise _damaged(path, "its end ('end_head') is missing")
    fields = dict(re.findall(r"^(\w+) -[irs]\d* (.*?)\s*$", text.decode("latin-1"), re.MULTILINE))
    coding = fields.get("sample_coding", "pcm")
    if "embedded" in coding:
        cure = "Convert it with: sph2pipe -f wav FILE NEW.wav"
        raise DataError(f"{path} is compressed within ({coding}), as by Shorten; expected plain SPHERE. {cure}.")
    for name in ("channel_count", "sample_rate", "sample_n_bytes"):
        if not fields.get(name, "").isdigit() or int(fields[name]) < 1:
            raise _damaged(path, f"'{name}' is {fields.get(name, 'missing')}")
    count = fields.get("sample_count")
    if count is None:
        return None
    if not count.isdigit():
        raise _damaged(path, f"'sample_count' is {count}")
    return len(header) + int(count) * int(fields["channel_count"]) * int(fields["sample_n_bytes"])


def _damaged(path: Path, what: str) -> DataError:
    return DataError(f"{path} has a damaged SPHERE header: {what}. Copy it again, or leave it out.")


def _wav_size(file: FileIO, size: int) -> int | None:
    """Bytes up to the end of the samples by the chunk that holds them; None where it does not say."""
    file.seek(0)
    magic = file.read(4)
    order = "big" if magic == b"RIFX" else "little"
    place, long_size = 12, None
    while place + 8 <= size:
        file.seek(place)
        chunk = file.read(24)
        length = int.from_bytes(chunk[4:8], order)
        if chunk[:4] == b"ds64":  # of RF64: the 64-bit sizes (EBU Tech 3306)
            long_size = int.from_bytes(chunk[16:24], "little")
        if chunk[:4] == b"data":
            length = long_size if length == 0xFFFF_FFFF and long_size is not None else length
            return None if UNKNOWN_SIZE <= length <= 0xFFFF_FFFF and long_size is None else place + 8 + length
        place += 8 + length + length % 2
    return None


def _ogg_size(file: FileIO, size: int) -> int | None:
    """Bytes up to the end of the last page (RFC 3533, section 6); None where no page begins near the end."""
    begin = max(0, size - (1 << 17))  # a page has at most 65,307 bytes
    file.seek(begin)
    tail = file.read()
    place = tail.rfind(b"OggS")
    if place < 0:
        return None
    page = tail[place:]
    segments = page[26] if len(page) > 26 else 0
    return begin + place + 27 + segments + sum(page[27 : 27 + segments])
