"""A program that lets one espeak-ng voice speak: a job as JSON on standard input; a line of JSON, then the samples on standard output.

The library keeps state from one utterance to the next, so that what a voice says depends on all that was said before. In a process of its
own it always says the same. Nothing but the standard library is imported here: a process starts within hundredths of a second.
"""

import ctypes
import json
import sys
from pathlib import Path
from typing import Any

SYNCHRONOUS, PHONEME_EVENTS, RETURN_ON_ERROR = 2, 1, 0x8000
RATE, VOLUME, PITCH, RANGE = 1, 2, 3, 4
UTF8 = 1
SEED = 1
"""Of the noise of some voices, such as victor; without it the library takes the second of the day."""
LAST, WORD, PHONEME = 0, 1, 7


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class Voice:
    """A variant of the voice en-us, of a library that was just loaded. Raises RuntimeError where data or voice are not as expected."""

    def __init__(self, library: str, data: str, variant: str) -> None:
        self._library = ctypes.CDLL(library)
        self.rate = self._library.espeak_Initialize(SYNCHRONOUS, 0, data.encode(), PHONEME_EVENTS | RETURN_ON_ERROR)
        if self.rate <= 0:
            raise RuntimeError(f"espeak-ng does not start with the data in {data}")
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(SEED))
        known = Path(data, "voices", "!v", variant).is_file()  # one that is not there would be the plain voice, without an error
        if not known or self._library.espeak_SetVoiceByName(f"en-us+{variant}".encode()):
            raise RuntimeError(f"there is no voice 'en-us+{variant}'")
        self._samples = bytearray()
        self._phones: list[tuple[int, str]] = []
        self._words: list[tuple[int, int]] = []
        self._callback = _Callback(self._receive)  # the library keeps its address: it must live as long
        self._library.espeak_SetSynthCallback(self._callback)

    def _receive(self, samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            self._samples += ctypes.string_at(samples, 2 * count)
        place = 0
        while events[place].type != LAST:
            event = events[place]
            if event.type == PHONEME:
                mnemonic = ctypes.string_at(ctypes.addressof(event.id), 8).partition(b"\0")[0]
                self._phones.append((event.sample, mnemonic.decode("utf-8", "replace")))
            elif event.type == WORD:
                self._words.append((event.sample, event.text_position - 1))
            place += 1
        return 0

    def say(self, text: str, rate: int, pitch: int, pitch_range: int) -> tuple[bytes, dict[str, Any]]:
        """16-bit samples; and how many, [begin, mnemonic] of each phoneme, [begin, place in the text] of each word."""
        self._samples, self._phones, self._words = bytearray(), [], []
        for number, value in ((RATE, rate), (VOLUME, 70), (PITCH, pitch), (RANGE, pitch_range)):
            self._library.espeak_SetParameter(number, value, 0)
        given = text.encode()
        if self._library.espeak_Synth(given, len(given) + 1, 0, 1, 0, UTF8, None, None) or self._library.espeak_Synchronize():
            raise RuntimeError(f"espeak-ng does not say '{text}'")
        return bytes(self._samples), {"samples": len(self._samples) // 2, "phones": self._phones, "words": self._words}


def main() -> None:
    """Read the job, speak, write."""
    job = json.load(sys.stdin)
    voice = Voice(job["library"], job["data"], job["voice"])
    said = [voice.say(*request) for request in job["requests"]]
    sys.stdout.buffer.write(json.dumps({"rate": voice.rate, "said": [facts for _, facts in said]}).encode() + b"\n")
    sys.stdout.buffer.writelines(samples for samples, _ in said)


if __name__ == "__main__":
    main()
