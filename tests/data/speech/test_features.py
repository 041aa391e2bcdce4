"""Log-mel features: equal to kaldi-native-fbank, slopes to a plain loop, and pieces to the whole."""

import kaldi_native_fbank as knf
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.speech.signals import voice
from tidegate.data.speech.features import FeatureSettings, FeatureStream, deltas, log_mel, mel_filters, num_frames
from tidegate.errors import DataError, SettingsError

SMALL = FeatureSettings(rate=2000, bands=4, window_ms=16.0, hop_ms=6.0)


def kaldi(samples: np.ndarray, wanted: FeatureSettings) -> np.ndarray:
    options = knf.FbankOptions()
    options.frame_opts.samp_freq = wanted.rate
    options.frame_opts.dither = 0.0
    options.frame_opts.frame_length_ms = wanted.window_ms
    options.frame_opts.frame_shift_ms = wanted.hop_ms
    options.frame_opts.preemph_coeff = wanted.preemphasis
    options.mel_opts.num_bins = wanted.bands
    options.mel_opts.low_freq = wanted.low
    options.mel_opts.high_freq = wanted.high
    options.use_energy = wanted.energy
    options.energy_floor = 0.0
    computer = knf.OnlineFbank(options)
    computer.accept_waveform(wanted.rate, (samples * np.float32(32768)).tolist())
    computer.input_finished()
    return np.stack([computer.get_frame(frame) for frame in range(computer.num_frames_ready)])


@pytest.mark.parametrize(
    "wanted",
    [
        FeatureSettings(),
        FeatureSettings(bands=23, energy=True),
        FeatureSettings(bands=80, high=-400.0, low=60.0),
        FeatureSettings(rate=8000, bands=23),
        FeatureSettings(rate=8000, bands=40, energy=True, preemphasis=0.9),
        FeatureSettings(rate=8000, bands=80),
        FeatureSettings(rate=11025),
        FeatureSettings(rate=22050, high=7600.0, energy=True),
        FeatureSettings(rate=44100, bands=80, window_ms=20.0, hop_ms=5.0),
        FeatureSettings(rate=48000, window_ms=32.0, hop_ms=8.0),
    ],
)
def test_equal_to_kaldi(wanted: FeatureSettings) -> None:
    samples = voice(wanted.rate, 1.2)
    found, expected = log_mel(torch.tensor(samples), wanted), kaldi(samples, wanted)
    assert found.dtype == torch.float32 and found.shape == (num_frames(len(samples), wanted), wanted.channels)
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=2e-4)  # its transform is in float32, ours in float64


def test_silence_is_the_least_energy_and_loudness_is_added() -> None:
    wanted = FeatureSettings(energy=True)
    assert torch.equal(log_mel(torch.zeros(4000), wanted), torch.full((23, 41), np.log(np.finfo(np.float32).eps)))
    samples = torch.tensor(voice(16000, 0.3))
    torch.testing.assert_close(log_mel(samples / 2, wanted), log_mel(samples, wanted) - 2 * np.log(2), rtol=0.0, atol=1e-5)


def test_memory_is_bounded_by_blocks_that_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = torch.tensor(voice(16000, 1.0))
    whole = log_mel(samples, FeatureSettings())
    monkeypatch.setattr("tidegate.data.speech.features.BLOCK_FRAMES", 7)
    assert torch.equal(log_mel(samples, FeatureSettings()), whole)


@pytest.mark.parametrize("count", [0, 31, 32, 43, 44, 45, 399])
def test_frames_lie_within_the_samples(count: int) -> None:
    expected = len([begin for begin in range(0, 400, SMALL.hop) if begin + SMALL.window <= count])
    assert num_frames(count, SMALL) == expected == len(log_mel(torch.zeros(count), SMALL))


def slopes(x: np.ndarray, orders: int) -> np.ndarray:
    """Kaldi's DeltaFeatures, frame by frame."""
    kernels = [np.array([1.0])]
    for _ in range(orders):
        kernels.append(np.convolve(kernels[-1], np.array([-2.0, -1.0, 0.0, 1.0, 2.0]) / 10.0))
    rows = []
    for frame in range(len(x)):
        parts = []
        for kernel in kernels:
            reach = len(kernel) // 2
            places = [min(max(frame + k, 0), len(x) - 1) for k in range(-reach, reach + 1)]
            parts.append(sum(weight * x[place] for weight, place in zip(kernel, places, strict=True)))
        rows.append(np.concatenate(parts))
    return np.stack(rows)


@pytest.mark.parametrize("orders", [0, 1, 2])
@pytest.mark.parametrize("steps", [1, 2, 3, 5, 9, 20])
def test_slopes_equal_a_plain_loop(orders: int, steps: int) -> None:
    x = np.random.default_rng(steps).normal(size=(steps, 3)).astype(np.float32)
    found = deltas(torch.tensor(x), orders)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found, slopes(x.astype(np.float64), orders), rtol=0.0, atol=1e-6)


def test_slopes_of_a_line_are_its_slope() -> None:
    x = 3.0 * torch.arange(20.0)[:, None]
    found = deltas(x, 2)[4:-4]
    torch.testing.assert_close(found[:, 1], torch.full((12,), 3.0))
    torch.testing.assert_close(found[:, 2], torch.zeros(12), rtol=0.0, atol=1e-5)
    assert deltas(torch.zeros(0, 3), 2).shape == (0, 9)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 90), max_size=12), st.integers(0, 2), st.booleans(), st.sampled_from([6.0, 16.0]), st.integers(0, 99))
def test_pieces_give_the_frames_of_the_whole(sizes: list[int], orders: int, energy: bool, hop_ms: float, seed: int) -> None:
    wanted = FeatureSettings(rate=2000, bands=4, window_ms=16.0, hop_ms=hop_ms, deltas=orders, energy=energy)
    samples = torch.tensor(voice(2000, sum(sizes) / 2000 + 0.01, seed))[: sum(sizes)]
    stream, begin, seen = FeatureStream(wanted), 0, 0
    parts = []
    for size in sizes:
        parts.append(stream.feed(samples[begin : begin + size]))
        begin, seen = begin + size, seen + len(parts[-1])
        assert seen == max(0, num_frames(begin, wanted) - 2 * orders), "a frame comes as soon as it can"
    parts.append(stream.finish())
    torch.testing.assert_close(torch.cat(parts), log_mel(samples, wanted), rtol=0.0, atol=1e-6)


def test_a_stream_begins_anew_when_it_is_finished() -> None:
    stream = FeatureStream(FeatureSettings(deltas=1))
    for seed in (1, 2):
        samples = torch.tensor(voice(16000, 0.2, seed))
        torch.testing.assert_close(torch.cat([stream.feed(samples), stream.finish()]), log_mel(samples, stream.settings))
    assert stream.finish().shape == (0, 80)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (torch.zeros(900, dtype=torch.int16), r"int16 of shape \(900,\).*floats from -1 to 1.*Divide 16-bit samples by 32768"),
        (torch.zeros(2, 900), r"float32 of shape \(2, 900\).*one channel.*mean"),
    ],
)
def test_other_samples_are_refused(samples: torch.Tensor, message: str) -> None:
    with pytest.raises(DataError, match=message):
        log_mel(samples, SMALL)
    with pytest.raises(DataError, match=message):
        FeatureStream(SMALL).feed(samples)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rate": 0}, "rate of the features is 0; expected 1 or more"),
        ({"bands": 2}, "bands of the features is 2; expected 3 or more"),
        ({"window_ms": 0.1}, "window_ms of the features is 0.1; expected 2 samples or more, at 16000 Hz"),
        ({"hop_ms": 30.0}, "hop_ms of the features is 30.0; expected a sample or more at 16000 Hz, and at most the window"),
        ({"low": 9000.0}, "low of the features is 9000.0; expected 0 or more, and below the upper edge of 8000 Hz"),
        ({"high": 9000.0}, "high of the features is 9000.0; expected at most half the rate, 8000 Hz"),
        ({"preemphasis": 1.5}, "preemphasis of the features is 1.5; expected from 0 to 1"),
        ({"deltas": 3}, "deltas of the features is 3; expected 0, 1 or 2"),
        ({"bands": 128, "rate": 8000}, "4 of 128 mel bands hold no frequency.*Choose fewer bands or a longer window"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        FeatureSettings(**wrong)  # pyright: ignore[reportArgumentType]


def test_channels_and_filters() -> None:
    assert FeatureSettings(bands=40, energy=True, deltas=2).channels == 123  # Graves et al. 2013
    assert mel_filters(FeatureSettings()).shape == (256, 40)
