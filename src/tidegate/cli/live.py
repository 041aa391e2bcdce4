"""`tidegate predict RUN -`: speech from standard input, heard as it comes."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from tidegate.cli.output import DONE, STOPPED, WRONG, say, say_json
from tidegate.cli.verbs import TRANSCRIBE, show_frame
from tidegate.data.speech.audio import resample
from tidegate.data.speech.audio_stream import AudioStream, Resampling
from tidegate.errors import SettingsError, TidegateError
from tidegate.runs.folder import RunFolder
from tidegate.tasks.computing import computing
from tidegate.tasks.output import check_output, write_frame
from tidegate.tasks.transcription.hearing import Spoken, Transcript, hear_samples, transcript_json
from tidegate.tasks.transcription.keeping import load_model
from tidegate.tasks.transcription.live import LIVE, LiveTranscriber, why_not_live
from tidegate.tasks.transcription.model import SpeechModel
from tidegate.tasks.transcription.verbs import frame_of

Show = Callable[[Spoken], None]


def transcribe_live(run: str, rate: int | None, out: str | None, timestamps: bool, as_json: bool, quiet: bool) -> int:
    """Say each token when it is complete, and at the end the transcript, which is that of a file with the same sound. Ctrl-C ends it with
    what was heard so far, and so does sound that is cut off, which is then said."""
    if out is not None:
        check_output(Path(out))
    model = load_model(RunFolder.open(run, task=TRANSCRIBE))
    if sys.stdin is None:
        raise SettingsError("Standard input is closed; expected audio. Pipe it in, or give files.")
    if sys.stdin.isatty():
        recorder = f"arecord -q -f S16_LE -c 1 -r {model.config.data.rate} -t raw | tidegate predict {run} -"
        raise SettingsError(f"Standard input is a terminal; expected audio. Pipe it in, such as: {recorder}")
    silent = as_json or quiet
    try:
        heard, interrupted, fault = _heard(model, rate, silent)
    except KeyboardInterrupt:
        if as_json:
            say_json({"task": TRANSCRIBE, "run": run, "state": "interrupted"})
        elif not quiet:
            say("interrupted: nothing was heard")
        return STOPPED
    frame = frame_of([heard], timestamps)
    if out is not None:
        write_frame(frame, Path(out))
    show_frame(TRANSCRIBE, frame, None if out else [transcript_json(heard)], out, as_json, quiet, fault)
    return WRONG if fault else STOPPED if interrupted else DONE


def _heard(model: SpeechModel, rate: int | None, silent: bool) -> tuple[Transcript, bool, TidegateError | None]:
    """The transcript, whether Ctrl-C ended it, and what was wrong with the end. Raises KeyboardInterrupt where nothing was heard before."""
    with _until_interrupted(sys.stdin.buffer) as ears, computing(model.config.training.threads):
        stream = AudioStream(ears.read, (model.config.data.rate or 0) if rate is None else rate, rate is not None)
        why = why_not_live(model)
        if why and not silent:
            sys.stderr.write(f"note: {why} The transcript comes at the end.\n")
        heard = _whole(model, stream, ears) if why else _live(model, stream, ears, _growing(model, silent), silent)
    return heard, ears.asked, stream.fault


class _Ears:
    """Reads a buffered binary file, and says whether Ctrl-C was pressed: that ends the reading, never what is computed in between."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.asked = self.waiting = False

    def read(self, count: int) -> bytes:
        """At most so many bytes, as soon as there are some. Raises KeyboardInterrupt."""
        self.waiting = True
        try:
            if self.asked:
                raise KeyboardInterrupt
            return self._file.read1(count)
        finally:
            self.waiting = False


@contextmanager
def _until_interrupted(file: Any) -> Iterator[_Ears]:
    ears = _Ears(file)

    def handle(number: int, frame: FrameType | None) -> None:
        again, ears.asked = ears.asked, True
        if ears.waiting or again:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield ears
        return
    before = signal.signal(signal.SIGINT, handle)
    try:
        yield ears
    finally:
        signal.signal(signal.SIGINT, before)


def _pieces(stream: AudioStream, ears: _Ears) -> Iterator[np.ndarray]:
    """The samples up to the end, or to Ctrl-C."""
    try:
        yield from stream
    except KeyboardInterrupt:
        if not ears.asked or not stream.samples:
            raise


def _whole(model: SpeechModel, stream: AudioStream, ears: _Ears) -> Transcript:
    samples = np.concatenate([np.zeros(0, np.float32), *_pieces(stream, ears)])
    if stream.rate != model.config.data.rate:
        samples = resample(samples, stream.rate, model.config.data.rate or 0)
    return hear_samples(model, [LIVE], [samples])[0]


def _live(model: SpeechModel, stream: AudioStream, ears: _Ears, show: Show, silent: bool) -> Transcript:
    transcriber = LiveTranscriber(model)
    resampling = Resampling(stream.rate, transcriber.rate)
    said = 0
    for samples in _pieces(stream, ears):
        for token in transcriber.feed(resampling.feed(samples)):
            show(token)
            said += 1
    for token in [*transcriber.feed(resampling.finish()), *transcriber.rest()]:
        show(token)
        said += 1
    if said and not silent:
        sys.stdout.write("\n\n" if sys.stdout.isatty() else "\n")
    return transcriber.finish()


def _growing(model: SpeechModel, silent: bool) -> Show:
    """How a token is shown: on a terminal at the end of a line that grows, elsewhere as a line with begin, end and token."""
    space = "" if model.config.data.tokens == "characters" else " "

    def show(token: Spoken) -> None:
        if silent:
            return
        if sys.stdout.isatty():
            sys.stdout.write(f"{token.token}{space}")
        else:
            sys.stdout.write(f"{token.begin:.2f} {token.end:.2f} {token.token}\n")
        sys.stdout.flush()

    return show
