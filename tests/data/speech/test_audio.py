"""Audio files: what is read, and what is refused. All signals are made from a seed."""

import struct
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.data.speech.audio import audio_info, read_audio, resample
from tidegate.errors import DataError, SettingsError

RATE = 16_000


def noise(count: int = 4_000, seed: int = 0) -> np.ndarray:
    """int16 [N]."""
    return np.random.default_rng(seed).integers(-20_000, 20_000, count).astype(np.int16)


def write(path: Path, samples: np.ndarray, form: str = "WAV", subtype: str = "PCM_16", rate: int = RATE, endian: str = "FILE") -> Path:
    soundfile.write(path, samples, rate, format=form, subtype=subtype, endian=endian)
    return path


def floats(path: Path, samples: list[float]) -> Path:
    return write(path, np.array(samples, dtype=np.float32), subtype="FLOAT")


@pytest.mark.parametrize(
    ("name", "form", "endian"),
    [
        ("a.wav", "WAV", "LITTLE"),
        ("a.WAV", "NIST", "LITTLE"),
        ("a.sph", "NIST", "BIG"),
        ("a.raw", "FLAC", "FILE"),
        ("a.txt", "RF64", "FILE"),
    ],
)
def test_lossless_formats_by_content(tmp_path: Path, name: str, form: str, endian: str) -> None:
    samples = noise()
    path = write(tmp_path / name, samples, form, endian=endian)
    found, rate = read_audio(path)
    assert rate == RATE and found.dtype == np.float32
    assert np.array_equal(found, samples / np.float32(32_768))
    info = audio_info(path)
    assert (info.rate, info.frames, info.channels) == (RATE, len(samples), 1)


def test_same_as_the_standard_library(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(noise(600).tobytes())
    pairs = noise(600).reshape(300, 2).astype(np.float64) / 32_768
    assert np.allclose(read_audio(path)[0], pairs.mean(axis=1), atol=1e-7)


def test_ogg(tmp_path: Path) -> None:
    times = np.arange(RATE) / RATE
    tone = (0.5 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
    found, _ = read_audio(write(tmp_path / "a.ogg", tone, "OGG", "VORBIS"))
    assert found.shape == tone.shape and np.corrcoef(found, tone)[0, 1] > 0.99


def test_resampled(tmp_path: Path) -> None:
    """A tone below the new Nyquist frequency stays the tone it is, one above it is gone."""
    times = np.arange(44_100) / 44_100
    low, high = (np.sin(2 * np.pi * hertz * times) for hertz in (1_000, 11_000))
    path = write(tmp_path / "a.wav", (0.25 * (low + high)).astype(np.float32), subtype="FLOAT", rate=44_100)
    found, rate = read_audio(path, RATE)
    assert rate == RATE and found.shape == (RATE,) and found.dtype == np.float32
    expected = 0.25 * np.sin(2 * np.pi * 1_000 * np.arange(RATE) / RATE)
    assert np.abs(found - expected)[500:-500].max() < 1e-4


@settings(deadline=None, max_examples=20)
@given(count=st.integers(1, 3_000), rate=st.sampled_from([8_000, 11_025, 22_050, 48_000]))
def test_resampled_length(count: int, rate: int) -> None:
    found = resample(noise(count).astype(np.float32), rate, RATE)
    assert abs(len(found) - count * RATE / rate) <= 1


def test_own_rate_is_kept_bit_for_bit(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", noise())
    assert np.array_equal(read_audio(path, RATE)[0], read_audio(path)[0])


@pytest.mark.parametrize("package", ["soundfile", "soxr"])
def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    path = write(tmp_path / "a.wav", noise())
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SettingsError, match=rf"needs {package}, which is not installed.*pip install 'tidegate\[speech\]'"):
        read_audio(path, 8_000)


def test_missing(tmp_path: Path) -> None:
    write(tmp_path / "hello.wav", noise())
    with pytest.raises(DataError, match=r"No such file: .*helo\.wav\. Did you mean '.*hello\.wav'"):
        audio_info(tmp_path / "helo.wav")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        audio_info(tmp_path)


@pytest.mark.parametrize(("content", "words"), [(b"", r"a\.wav is empty \(0 bytes\)"), (b"hello " * 99, r"a\.wav is damaged, or no audio")])
def test_no_audio(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    for function in (audio_info, read_audio):
        with pytest.raises(DataError, match=words):
            function(tmp_path / "a.wav")


@pytest.mark.parametrize("form", ["WAV", "NIST"])
def test_no_sample(tmp_path: Path, form: str) -> None:
    path = write(tmp_path / "a.wav", noise(0), form)
    with pytest.raises(DataError, match=r"a\.wav has a header, but no sample"):
        audio_info(path)


@pytest.mark.parametrize(("form", "subtype"), [("WAV", "PCM_16"), ("NIST", "PCM_16"), ("OGG", "VORBIS"), ("RF64", "PCM_16")])
@pytest.mark.parametrize("kept", [0.999, 0.6])
def test_cut_off(tmp_path: Path, form: str, subtype: str, kept: float) -> None:
    path = write(tmp_path / "a", noise(20_000), form, subtype)
    whole = path.read_bytes()
    audio_info(path)
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(DataError, match=rf"a is cut off: {int(len(whole) * kept):,} of [\d,]+ bytes are there"):
        audio_info(path)


def test_cut_off_flac(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", noise(20_000), "FLAC")
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(DataError, match="a.flac is (cut off|damaged)"):
        read_audio(path)


@pytest.mark.parametrize("size", [0xFFFF_FFFF, 0x7FFF_F000])
def test_piped_wav_of_unknown_length(tmp_path: Path, size: int) -> None:
    path = write(tmp_path / "a.wav", noise())
    content = path.read_bytes()
    place = content.index(b"data") + 4
    path.write_bytes(content[:place] + struct.pack("<I", size) + content[place + 4 :])
    assert len(read_audio(path)[0]) == len(noise())


def test_chunks_before_the_samples(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", noise())
    content = path.read_bytes()
    place = content.index(b"data")
    odd = b"LIST" + struct.pack("<I", 9_001) + bytes(9_002)
    path.write_bytes(content[:place] + odd + content[place:])
    assert audio_info(path).frames == len(noise())
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(DataError, match="cut off"):
        audio_info(path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"-s3 pcm\n", b"-s26 pcm,embedded-shorten-v2.00\n", r"compressed within \(pcm,embedded-shorten-v2.00\).*sph2pipe -f wav"),
        (b"end_head", b"end_haed", "damaged SPHERE header: its end"),
        (b"   1024\n", b"   102x\n", "damaged SPHERE header: its end"),
        (b"channel_count -i 1", b"channel_cuont -i 1", "damaged SPHERE header: 'channel_count' is missing"),
        (b"sample_rate -i 16000", b"sample_rate -i 0", "damaged SPHERE header: 'sample_rate' is 0"),
        (b"sample_count -i 4000", b"sample_count -i 4x00", "damaged SPHERE header: 'sample_count' is 4x00"),
        (b"sample_n_bytes -i 2", b"sample_n_bytes -i -2", "damaged SPHERE header: 'sample_n_bytes' is -2"),
    ],
)
def test_sphere_headers(tmp_path: Path, old: bytes, new: bytes, words: str) -> None:
    path = write(tmp_path / "SX1.WAV", noise(), "NIST")
    content = path.read_bytes()
    assert old in content
    head = content[:1024].replace(old, new)[:1024].ljust(1024, b"\0")
    path.write_bytes(head + content[1024:])
    with pytest.raises(DataError, match=rf"SX1\.WAV .*{words}"):
        audio_info(path)


def test_sphere_without_a_count(tmp_path: Path) -> None:
    path = write(tmp_path / "a.sph", noise(), "NIST")
    path.write_bytes(path.read_bytes().replace(b"sample_count", b"sample_cuont"))
    assert audio_info(path).frames == len(noise())


def test_header_alone_of_sphere(tmp_path: Path) -> None:
    path = write(tmp_path / "a.sph", noise(), "NIST")
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match=r"a\.sph (is cut off|has a damaged)"):
        audio_info(path)


@pytest.mark.parametrize("rate", [2_000, 400_000])
def test_rates(tmp_path: Path, rate: int) -> None:
    path = write(tmp_path / "a.wav", noise(), rate=rate)
    with pytest.raises(DataError, match=rf"a rate of {rate:,} Hz; expected 4,000 to 384,000 Hz"):
        audio_info(path)


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ([0.1, 0.2, float("nan")], "sample 2 is nan"),
        ([0.1, float("inf")], "sample 1 is inf"),
        ([0.0] * 5, "digital silence: all 5 samples are 0"),
        ([0.25] * 5, "digital silence: all 5 samples are 0.25"),
        ([1.0, -20_000.0], "floats up to 20000; expected -1 to 1"),
    ],
)
def test_samples(tmp_path: Path, samples: list[float], words: str) -> None:
    path = floats(tmp_path / "a.wav", samples)
    audio_info(path)
    with pytest.raises(DataError, match=rf"a\.wav.*{words}"):
        read_audio(path)


def test_channels_that_cancel(tmp_path: Path) -> None:
    left = noise()
    path = write(tmp_path / "a.wav", np.stack([left, -left], axis=1))
    with pytest.raises(DataError, match="once its 2 channels are averaged"):
        read_audio(path)


def test_a_little_over_full_scale_stays(tmp_path: Path) -> None:
    assert read_audio(floats(tmp_path / "a.wav", [1.25, -0.5]))[0].tolist() == [1.25, -0.5]
