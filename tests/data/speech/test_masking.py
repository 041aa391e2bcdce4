"""Changes by chance: what they change, by how much, and that the same chance changes the same."""

import sys
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.speech.signals import voice
from tidegate.data.speech.features import FeatureSettings, deltas, log_mel
from tidegate.data.speech.masking import MaskSettings, add_noise, mask, other_ends, speed, stretch
from tidegate.errors import DataError, SettingsError

RATE = 16000


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("factor", [0.9, 1.1, 1.25])
def test_speed_moves_pitch_and_length(factor: float) -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)
    found = speed(tone, factor, RATE)
    assert found.dtype == np.float32 and abs(len(found) - RATE / factor) <= 1
    spectrum = np.abs(np.fft.rfft(found * np.hanning(len(found))))
    assert abs(spectrum.argmax() * RATE / len(found) - 1000 * factor) < 2.0
    assert speed(tone, 1.0, RATE) is tone


def test_speed_refuses_what_it_cannot_do(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = voice(RATE, 0.1)
    for factor in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(SettingsError, match="expected a factor above 0, such as 0.9 or 1.1"):
            speed(samples, factor, RATE)
    with pytest.raises(DataError, match=r"Samples are int16 of shape \(9,\); expected floats"):
        speed(np.zeros(9, np.int16), 0.9, RATE)
    monkeypatch.setitem(sys.modules, "soxr", None)
    with pytest.raises(SettingsError, match=r"needs soxr, which is not installed.*pip install 'tidegate\[speech\]'"):
        speed(samples, 0.9, RATE)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.integers(1, 40), st.integers(0, 2), st.integers(0, 999), st.floats(0.0, 1.0))
def test_masks_hide_stretches_up_to_their_width(steps: int, channels: int, orders: int, seed: int, share: float) -> None:
    given_masks = MaskSettings(time_share=share)
    x_TC = torch.ones(steps, channels * (1 + orders))
    found = mask(x_TC, given_masks, generator(seed), orders)
    assert torch.equal(found, mask(x_TC, given_masks, generator(seed), orders)) and bool((x_TC == 1.0).all())
    assert set(found.unique().tolist()) <= {0.0, 1.0}
    zero_TKC = found.unflatten(1, (1 + orders, channels)).numpy() == 0.0
    assert np.array_equal(zero_TKC, np.repeat(zero_TKC[:, :1], 1 + orders, 1)), "slopes are hidden with their channel"
    frames, bands = zero_TKC[:, 0].all(1), zero_TKC[:, 0].all(0)
    if not bands.all() and not frames.all():
        assert np.array_equal(zero_TKC[:, 0], frames[:, None] | bands[None, :])
        assert frames.sum() <= 2 * min(30, int(share * steps))
        assert bands.sum() <= 2 * 8
        assert np.count_nonzero(np.diff(frames.astype(int), prepend=0) == 1) <= 2, "two stretches at most"


def test_widths_and_places_are_uniform() -> None:
    one = MaskSettings(time_masks=1, time_width=10, time_share=1.0, frequency_masks=0)
    random, widths, places = generator(), np.zeros(11), np.zeros(40)
    for _ in range(3000):
        frames = (mask(torch.ones(40, 1), one, random) == 0.0)[:, 0].numpy()
        widths[frames.sum()] += 1
        places[frames] += 1
    assert widths.min() > 0.75 * 3000 / 11, "from none to the greatest"
    assert places[0] > 0 and places[-1] > 0 and places[15:25].std() < 0.1 * places[15:25].mean()


def test_nothing_is_hidden_where_nothing_is_asked() -> None:
    x_TC = torch.randn(50, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(mask(x_TC, MaskSettings(time_masks=0, frequency_masks=0), generator()), x_TC)
    assert torch.equal(mask(x_TC, MaskSettings(time_width=0, frequency_width=0), generator()), x_TC)
    assert mask(torch.zeros(0, 8), MaskSettings(), generator()).shape == (0, 8)


@pytest.mark.parametrize("wanted", [FeatureSettings(), FeatureSettings(energy=True, deltas=2), FeatureSettings(rate=8000, bands=23)])
@pytest.mark.parametrize("snr_db", [-5.0, 10.0, 30.0])
def test_noise_has_the_ratio_that_is_drawn(wanted: FeatureSettings, snr_db: float) -> None:
    x_TC = log_mel(torch.tensor(voice(wanted.rate, 1.0)), wanted)
    before = x_TC.clone()
    found = add_noise(x_TC, wanted, generator(3), (snr_db, snr_db))
    assert torch.equal(x_TC, before) and found.shape == x_TC.shape and found.dtype == torch.float32
    assert torch.equal(found, add_noise(x_TC, wanted, generator(3), (snr_db, snr_db)))
    assert not torch.equal(found, add_noise(x_TC, wanted, generator(4), (snr_db, snr_db)))
    statics, first = wanted.statics, int(wanted.energy)
    assert torch.equal(found, deltas(found[:, :statics], wanted.deltas)), "slopes are those of the noisy channels"
    clean, noisy = x_TC[:, :statics].double().exp(), found[:, :statics].double().exp()
    for part in (slice(first, None), slice(0, first)):
        if clean[:, part].numel():
            ratio = clean[:, part].mean() / (noisy - clean)[:, part].mean()
            assert abs(10 * np.log10(float(ratio)) - snr_db) < 0.01
    assert bool((noisy >= clean * (1 - 1e-5)).all()), "noise adds"


def test_white_noise_has_the_shape_of_white_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise added to silence, at a slope of 0, against the features of white samples: level by band and how much frames differ."""
    monkeypatch.setattr("tidegate.data.speech.masking.STEEPEST", 0.0)
    wanted = FeatureSettings()
    white = log_mel(torch.tensor(generator(1).normal(0.0, 0.1, 20 * RATE).astype(np.float32)), wanted).double()
    added = add_noise(torch.zeros_like(white).float(), wanted, generator(2), (-60.0, -60.0)).double()
    powers = [part.exp().numpy() for part in (white, added)]
    level = [np.log(power.mean(0)) for power in powers]
    np.testing.assert_allclose(level[1] - level[1].mean(), level[0] - level[0].mean(), atol=0.15)
    varies = [power.std(0) / power.mean(0) for power in powers]
    ratio = varies[1] / varies[0]
    assert ratio.min() > 0.85 and ratio.max() < 1.15 and abs(ratio.mean() - 1.0) < 0.03


def test_slopes_of_noise_differ_by_chance() -> None:
    wanted, x_TC = FeatureSettings(), torch.zeros(100, 40)
    noisy = [add_noise(x_TC, wanted, generator(seed), (-40, -40)) for seed in range(12)]
    tilts = [float(found[:, 30:].mean() - found[:, :10].mean()) for found in noisy]
    assert max(tilts) - min(tilts) > 2.0


def test_no_frame_stays_no_frame() -> None:
    assert add_noise(torch.zeros(0, 40), FeatureSettings(), generator(), (5, 20)).shape == (0, 40)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"time_masks": -1}, "time_masks is -1; expected 0 or more"),
        ({"frequency_width": -2}, "frequency_width is -2; expected 0 or more"),
        ({"time_share": 1.5}, "time_share is 1.5; expected from 0 to 1"),
        ({"noise_db": (20.0, 5.0)}, r"The range of noise is \(20.0, 5.0\) dB; expected two numbers, the lower one first"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        MaskSettings(**wrong)


def test_noise_refuses_other_channels_and_ranges() -> None:
    with pytest.raises(DataError, match=r"shape \(9, 39\); expected 40 channels"):
        add_noise(torch.zeros(9, 39), FeatureSettings(), generator(), (5, 20))
    with pytest.raises(SettingsError, match="expected two numbers, the lower one first"):
        add_noise(torch.zeros(9, 40), FeatureSettings(), generator(), (float("nan"), 20))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 80), st.floats(0.2, 3.0), st.integers(0, 2))
def test_what_is_stretched_takes_longer_and_sounds_the_same(steps: int, factor: float, orders: int) -> None:
    """A slide from one pitch to another goes from the same to the same, only more slowly; its slopes are those of what is heard."""
    slide_T = torch.linspace(-1.0, 2.0, steps)
    x_TC = deltas(torch.stack([slide_T, -slide_T, torch.ones(steps)], 1), orders)
    found_TC, nearest_T = stretch(x_TC, factor, 3, orders)
    assert len(found_TC) == len(nearest_T) == (max(1, round(steps * factor)) if steps else 0)
    assert (np.diff(nearest_T) >= 0).all() and set(nearest_T) <= set(range(steps))
    torch.testing.assert_close(found_TC, deltas(found_TC[:, :3].contiguous(), orders))
    if len(found_TC):
        assert float((found_TC[:, 0] - slide_T[nearest_T]).abs().max()) <= 3.0 / max(1, steps - 1) + 1e-5, "near the frame that it says"
        torch.testing.assert_close(found_TC[:, 2], torch.ones(len(found_TC)))
        assert abs(float(found_TC[:, 0].mean() - slide_T.mean())) < 1e-4
    same_TC, numbers_T = stretch(x_TC, 1.0, 3, orders)
    torch.testing.assert_close(same_TC, x_TC)
    assert numbers_T.tolist() == list(range(steps))


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 80), st.floats(0.0, 0.49), st.integers(0, 30), st.integers(0, 999))
def test_ends_are_cut_and_get_pauses_of_quiet_frames(steps: int, cut: float, pauses: int, seed: int) -> None:
    x_TC = torch.randn(steps, 6, generator=torch.Generator().manual_seed(seed))
    found = other_ends(x_TC, 3, generator(seed), cut, pauses)
    again = other_ends(x_TC, 3, generator(seed), cut, pauses)
    assert np.array_equal(found.numbers_T, again.numbers_T) and found.spoken == again.spoken
    spoken = found.numbers_T[found.spoken]
    assert np.array_equal(spoken, np.arange(spoken[0], spoken[-1] + 1)), "what is spoken stays in one piece"
    assert spoken[0] <= cut * steps and steps - 1 - spoken[-1] <= cut * steps
    before, after = found.numbers_T[: found.spoken.start], found.numbers_T[found.spoken.stop :]
    assert max(len(before), len(after)) <= pauses
    loudness = x_TC[:, :3].mean(1).numpy()
    quiet = np.sort(loudness[spoken])[: max(3, len(spoken) // 10)]
    assert all(loudness[number] <= quiet[-1] for number in (*before, *after)) and {*before, *after} <= set(spoken)


def test_one_end_in_two_is_cut_and_one_in_two_gets_a_pause() -> None:
    x_TC, random = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)), generator()
    cuts, pauses = np.zeros(2), np.zeros(2)
    longest = 0
    for _ in range(400):
        numbers, spoken = other_ends(x_TC, 4, random, 0.4, 10)
        cuts += (numbers[spoken][0] > 0, numbers[spoken][-1] < 49)
        pauses += (spoken.start > 0, spoken.stop < len(numbers))
        longest = max(longest, spoken.start)
    assert (abs(pauses - 200) < 45).all() and (abs(cuts - 190) < 45).all() and longest == 10
    assert np.array_equal(other_ends(x_TC, 4, random, 0.0, 0).numbers_T, np.arange(50))
