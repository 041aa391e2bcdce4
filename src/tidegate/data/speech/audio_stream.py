"""Audio that is still arriving, as WAV or raw PCM: samples as soon as their bytes are there.

Letters: N samples in time, C channels. The same samples, to the bit, as `read_audio` gives of a file with the same bytes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from tidegate.data.speech.audio import HIGHEST_RATE, LOUDEST, LOWEST_RATE, UNKNOWN_SIZE, missing
from tidegate.errors import DataError, SettingsError

BLOCK = 1 << 16
"""Bytes that are asked for at most at once; fewer are taken as they come."""
LONGEST_HEADER = 1 << 24
"""Bytes before the samples; more is a damaged header."""
_OTHERS = {b"fLaC": "FLAC", b"OggS": "OGG", b"NIST": "SPHERE", b"RF64": "RF64", b"RIFX": "RIFX", b"ID3": "MP3", b"FORM": "AIFF"}
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
"""Codes of WAV's formats; of the last one the subformat holds the code (Microsoft, Multiple Channel Audio Data and WAVE Files)."""
Read = Callable[[int], bytes]
"""At most so many bytes, at least one; none at the end."""


@dataclass(frozen=True)
class _Form:
    """How a sample is written: whole number or float, of so many bytes, in so many channels."""

    is_float: bool
    size: int
    channels: int


class AudioStream:
    """Samples float32 [n] as they come, the mean of all channels, full scale at -1 and 1, at `rate` Hz.

    read   gives the next bytes, as `read1` of a binary file does
    rate   of raw PCM, which is 16 bits, little-endian, one channel; WAV tells its own
    given  whether the rate was asked for; WAV of another one is then refused
    name   for messages

    The header is read at once. Raises DataError for a stream that is empty, of another format, cut off within its header, all the same
    (digital silence), not finite, or beyond any scale of floats. One that is cut off within a sample or before what the header promises
    ends there, and `fault` is the DataError that says so; it is raised where no sample came.
    """

    fault: DataError | None = None

    def __init__(self, read: Read, rate: int, given: bool = False, name: str = "Standard input") -> None:
        self._read, self._name = read, name
        self._promised: int | None = None
        self._bytes, self.samples = 0, 0
        self._low, self._high = np.inf, -np.inf
        head = self._exactly(4)
        if not head:
            raise DataError(f"{name} is empty (0 bytes); expected audio: WAV, or raw PCM of 16 bits.")
        for magic, form in _OTHERS.items():
            if head.startswith(magic):
                raise DataError(f"{name} is {form}; expected WAV, or raw PCM of 16 bits. Convert it, or give the file by its name.")
        self._form, self.rate, self._kept = _Form(False, 2, 1), rate, head
        if head == b"RIFF":
            self._read_header()
            if given and self.rate != rate:
                raise SettingsError(f"The rate is {rate:,} Hz (--rate), but {name.lower()} is WAV of {self.rate:,} Hz. Leave it out.")
        if not LOWEST_RATE <= self.rate <= HIGHEST_RATE:
            raise DataError(f"{name} has a rate of {self.rate:,} Hz; expected {LOWEST_RATE:,} to {HIGHEST_RATE:,} Hz.")

    def __iter__(self) -> Iterator[np.ndarray]:
        data, frame = self._kept, self._form.size * self._form.channels
        self._bytes = len(data)
        while True:
            whole = len(data) - len(data) % frame
            if whole:
                yield self._checked(_floats(data[:whole], self._form))
                data = data[whole:]
            wanted = BLOCK if self._promised is None else min(BLOCK, self._promised - self._bytes)
            more = self._read(wanted) if wanted > 0 else b""
            if not more:
                break
            self._bytes += len(more)
            data += more
        self._check_end(len(data), frame)

    def _checked(self, samples_NC: np.ndarray) -> np.ndarray:
        samples = samples_NC[:, 0] if samples_NC.shape[1] == 1 else samples_NC.mean(axis=1)
        if not np.isfinite(samples).all():
            bad = int(np.flatnonzero(~np.isfinite(samples))[0])
            raise DataError(f"{self._name}: sample {self.samples + bad:,} is {samples[bad]}; expected finite numbers.")
        self._low, self._high = min(self._low, float(samples.min())), max(self._high, float(samples.max()))
        if max(-self._low, self._high) > LOUDEST:
            most = max(-self._low, self._high)
            raise DataError(f"{self._name} holds floats up to {most:g}; expected -1 to 1. Divide them, such as by 32768 for 16 bits.")
        self.samples += len(samples)
        return samples

    def _check_end(self, rest: int, frame: int) -> None:
        if self._promised is not None and self._bytes < self._promised:
            text = f"{self._name} is cut off: {self._bytes:,} of {self._promised:,} bytes of samples came. Send it again."
            self.fault = DataError(text)
        elif rest:
            text = f"{self._name} ends within a sample: {self._bytes:,} bytes came; expected a multiple of {frame}. {_CURE}"
            self.fault = DataError(text)
        if self.fault and not self.samples:
            raise self.fault
        if not self.samples:
            raise DataError(f"{self._name} has a header, but no sample. Record it again.")
        if self._low == self._high:
            raise DataError(f"{self._name} is digital silence: all {self.samples:,} samples are {self._low:g}. Is the microphone on?")

    def _read_header(self) -> None:
        """The chunks up to the samples."""
        kind = self._exactly(8)[4:]
        if len(kind) < 4:
            raise self._cut_off()
        if kind != b"WAVE":
            raise DataError(f"{self._name} is RIFF, but no WAV; expected WAV, or raw PCM of 16 bits. Convert it.")
        form, passed = b"", 0
        while True:
            chunk = self._exactly(8)
            if len(chunk) < 8:
                raise self._cut_off()
            length = int.from_bytes(chunk[4:], "little")
            if chunk[:4] == b"data":
                break
            passed += length
            if passed > LONGEST_HEADER:
                raise DataError(f"{self._name} has a damaged WAV header: {passed:,} bytes before the samples. Send it again.")
            body = self._exactly(length + length % 2)
            if len(body) < length:
                raise self._cut_off()
            form = body if chunk[:4] == b"fmt " else form
        if len(form) < 16:
            raise DataError(f"{self._name} has a damaged WAV header: the format is missing. Send it again.")
        self._take_form(form)
        self._promised = length if 0 < length < UNKNOWN_SIZE else None  # who cannot seek back writes 0, or the most there can be
        self._kept = b""

    def _take_form(self, form: bytes) -> None:
        code, channels, bits = (int.from_bytes(form[place : place + 2], "little") for place in (0, 2, 14))
        if code == _EXTENSIBLE and len(form) >= 26:
            code = int.from_bytes(form[24:26], "little")
        if (code, bits) not in {(_PCM, 8), (_PCM, 16), (_PCM, 24), (_PCM, 32), (_FLOAT, 32), (_FLOAT, 64)} or not channels:
            raise DataError(f"{self._name} is WAV of code {code}, {bits} bits, {channels} channels; expected PCM or floats. Convert it.")
        self._form, self.rate = _Form(code == _FLOAT, bits // 8, channels), int.from_bytes(form[4:8], "little")

    def _cut_off(self) -> DataError:
        return DataError(f"{self._name} is cut off within its WAV header. Send it again.")

    def _exactly(self, count: int) -> bytes:
        """So many bytes, fewer at the end only."""
        data = b""
        while len(data) < count and (more := self._read(count - len(data))):
            data += more
        return data


class Resampling:
    """Samples at another rate as they come, equal to `resample` of the whole to the bit. Raises SettingsError where soxr is missing."""

    def __init__(self, rate: int, new_rate: int) -> None:
        self._stream = None
        if rate != new_rate:
            try:
                import soxr
            except ImportError:
                raise missing("soxr") from None
            self._stream = soxr.ResampleStream(rate, new_rate, 1, dtype="float32", quality="HQ")

    def feed(self, samples: np.ndarray) -> np.ndarray:
        """Those that these make possible."""
        return samples if self._stream is None else self._stream.resample_chunk(samples)

    def finish(self) -> np.ndarray:
        """Those that waited for later ones."""
        nothing = np.zeros(0, np.float32)
        return nothing if self._stream is None else self._stream.resample_chunk(nothing, last=True)


_CURE = "Raw PCM has 16 bits a sample, one channel."


def _floats(data: bytes, form: _Form) -> np.ndarray:
    """[N, C] float32, as libsndfile scales them."""
    if form.is_float:
        return np.frombuffer(data, f"<f{form.size}").astype(np.float32).reshape(-1, form.channels)
    if form.size == 1:  # without a sign, only those
        whole = np.frombuffer(data, "u1").astype(np.int32) - 128
    elif form.size == 3:
        padded = np.zeros((len(data) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        whole = padded.view("<i4").ravel() >> 8
    else:
        whole = np.frombuffer(data, f"<i{form.size}")
    return (whole.astype(np.float32) * np.float32(2.0 ** (1 - 8 * form.size))).reshape(-1, form.channels)
