"""Training utterances changed by chance: pace, ends, noise, and stretches of time and frequency that are hidden.

What chance decides comes from the generator that is given: the same state, the same change. What is given stays as it was.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tidegate.data.speech.features import FeatureSettings, deltas, frequencies, mel_filters, povey_window
from tidegate.errors import DataError, SettingsError

STEEPEST = 2.0
"""Noise power falls with frequency as f^-a, a between 0 (white) and this (brown)."""
CHANGED = 0.5
"""Share of the ends that are cut, and of those that get a pause."""
QUIETEST, FEWEST = 0.1, 3
"""Share of an utterance's frames that pauses are made of, and how many there are at least."""


@dataclass(frozen=True)
class MaskSettings:
    """How much is hidden, after SpecAugment (Park et al. 2019, section 2), and how loud the noise is. Raises SettingsError.

    time_masks, time_width            number and greatest width, in frames
    time_share                        a time mask is at most this share of the utterance
    frequency_masks, frequency_width  number and greatest width, in channels
    noise_db                          least and greatest signal-to-noise ratio in dB; None: no noise
    """

    time_masks: int = 2
    time_width: int = 30
    time_share: float = 0.2
    frequency_masks: int = 2
    frequency_width: int = 8
    noise_db: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for name in ("time_masks", "time_width", "frequency_masks", "frequency_width"):
            if getattr(self, name) < 0:
                raise SettingsError(f"{name} is {getattr(self, name)}; expected 0 or more.")
        if not 0.0 <= self.time_share <= 1.0:
            raise SettingsError(f"time_share is {self.time_share}; expected from 0 to 1.")
        if self.noise_db is not None:
            _check_range(self.noise_db)


def speed(samples_N: np.ndarray, factor: float, rate: int) -> np.ndarray:
    """Samples played `factor` times as fast, [N / factor]: pitch and tempo both change, as in Kaldi (Ko et al. 2015).

    float32, or as given where the factor is 1. Needs the extra `speech` (soxr). Raises SettingsError for a factor that is not above 0, or
    without soxr; DataError for samples that are no floats of one channel.
    """
    if not (math.isfinite(factor) and factor > 0.0):
        raise SettingsError(f"The speed is {factor}; expected a factor above 0, such as 0.9 or 1.1.")
    if samples_N.ndim != 1 or samples_N.dtype.kind != "f":
        raise DataError(
            f"Samples are {samples_N.dtype} of shape {samples_N.shape}; expected floats from -1 to 1 of one channel, shape (N,)."
        )
    if factor == 1.0:
        return samples_N
    try:
        import soxr
    except ImportError:
        raise SettingsError("Another speed needs soxr, which is not installed. Install it: pip install 'tidegate[speech]'.") from None
    return np.asarray(soxr.resample(np.asarray(samples_N, np.float32), rate * factor, rate), np.float32)


def mask(x_TC: Tensor, settings: MaskSettings, random: np.random.Generator, orders: int = 0) -> Tensor:
    """Normalised frames with stretches of frames and of channels set to 0, the mean.

    Widths are uniform from 0 to the greatest, and so are places (Park et al. 2019). orders: slopes that are appended to the channels;
    a channel is hidden together with its slopes.
    """
    x_TC = x_TC.clone()
    x_TKC = x_TC.unflatten(1, (1 + orders, -1))
    steps, channels = len(x_TKC), x_TKC.shape[2]
    longest = min(settings.time_width, int(settings.time_share * steps))
    for _ in range(settings.time_masks):
        x_TKC[_stretch(steps, longest, random)] = 0.0
    for _ in range(settings.frequency_masks):
        x_TKC[:, :, _stretch(channels, min(settings.frequency_width, channels), random)] = 0.0
    return x_TC


class Ends(NamedTuple):
    """An utterance with other ends: the numbers of its frames, and where among them those lie that are no pause."""

    numbers_T: np.ndarray
    spoken: slice


def other_ends(x_TC: Tensor, statics: int, random: np.random.Generator, cut: float, pauses: int) -> Ends:
    """As if the recording had begun and ended elsewhere: people and programs that cut words out do so in their own ways, and a network that
    knows a few of them takes a pause, or none, for a part of the word.

    statics  channels without their slopes; by their mean a frame is loud or quiet
    cut      one end in two loses a share from 0 to this, below 0.5
    pauses   to one end in two come 1 to so many frames, drawn from the quietest that are left
    """
    steps = len(x_TC)
    begin, after = (int(random.uniform(0.0, cut * steps)) if cut and random.random() < CHANGED else 0 for _ in range(2))
    spoken = np.arange(begin, steps - after)
    quiet = spoken[x_TC[spoken, :statics].mean(1).argsort()[: max(FEWEST, int(QUIETEST * len(spoken)))].numpy()]
    counts = [int(random.integers(1, pauses, endpoint=True)) if pauses and random.random() < CHANGED else 0 for _ in range(2)]
    first, last = (random.choice(quiet, count) for count in counts)
    return Ends(np.concatenate([first, spoken, last]), slice(len(first), len(first) + len(spoken)))


def stretch(x_TC: Tensor, factor: float, statics: int, orders: int) -> tuple[Tensor, np.ndarray]:
    """As if it had been said more slowly (factor above 1) or faster, at the same pitch: `factor` times as many frames, at least one, linear
    between those of x, slopes of `orders` computed anew; and of each which frame of x lies nearest."""
    count = max(1, round(factor * len(x_TC))) if len(x_TC) else 0
    if not count:
        return x_TC.clone(), np.zeros(0, np.int64)
    nearest_T = np.minimum((np.arange(count) + 0.5) * len(x_TC) / count, len(x_TC) - 1).astype(np.int64)
    base_CT = functional.interpolate(x_TC[:, :statics].T[None], size=count, mode="linear", align_corners=False)[0]
    return deltas(base_CT.T.contiguous(), orders), nearest_T


def add_noise(x_TC: Tensor, settings: FeatureSettings, random: np.random.Generator, snr_db: tuple[float, float]) -> Tensor:
    """Log-mel features before normalisation, with steady noise of a random spectral slope at a random ratio between the two in dB.

    An approximation of this project's own, without the waveform: powers add, log(exp(x) + exp(n)), as if signal and noise were never in
    phase. The noise's power falls as f^-a, a uniform from 0 to 2, and passes preemphasis and filters; in each frame a band varies as the
    power of Gaussian noise does (a gamma variable), independently of other bands and frames. The ratio is that of the mean powers over
    all frames and bands, exactly; the energy, if there is one, gets noise at the same ratio, and slopes are computed anew.
    Raises SettingsError for a range that is none, DataError for other channels than those of the settings.
    """
    _check_range(snr_db)
    if x_TC.ndim != 2 or x_TC.shape[1] != settings.channels:
        raise DataError(f"Frames have the shape {tuple(x_TC.shape)}; expected {settings.channels} channels, as the settings say.")
    if len(x_TC) == 0:
        return x_TC.clone()
    ratio = 10.0 ** (-random.uniform(*snr_db) / 10.0)
    noise_TM = _noise(len(x_TC), settings, random)
    first = int(settings.energy)
    base_TC = x_TC[:, : settings.statics].double()
    power_TC = base_TC.exp()
    power_TC[:, first:] += noise_TM * (ratio * power_TC[:, first:].mean() / noise_TM.mean())
    power_TC[:, :first] += ratio * power_TC[:, :first].mean() if first else 0.0
    return deltas(power_TC.log().float(), settings.deltas)


def _noise(steps: int, settings: FeatureSettings, random: np.random.Generator) -> Tensor:
    """Powers [T, M] of noise in the mel bands, in any unit, float64."""
    hertz_F = frequencies(settings)
    density_F = (hertz_F / settings.rate).clamp_min(1.0 / settings.transform) ** -random.uniform(0.0, STEEPEST)
    emphasis_F = 1.0 + settings.preemphasis**2 - 2.0 * settings.preemphasis * torch.cos(2.0 * math.pi * hertz_F / settings.rate)
    band_M = (density_F * emphasis_F) @ mel_filters(settings)
    averaged_M = _independent(settings).numpy()
    return band_M * torch.from_numpy(random.gamma(averaged_M, 1.0 / averaged_M, (steps, settings.bands)))


@cache
def _independent(settings: FeatureSettings) -> Tensor:
    """Of how many independent exponential variables the power of white noise in each band is the mean, float64 [M]: (sum w)^2 / w' R w.

    R is the correlation of the powers at two frequencies: for Gaussian noise the squared correlation of the amplitudes, which is the
    transform of the squared window at their distance over that at 0.
    """
    weights_FM = mel_filters(settings)
    spectrum = torch.fft.fft(povey_window(settings.window) ** 2, n=settings.transform).abs() ** 2
    places_F = torch.arange(len(weights_FM))
    correlation_FF = (spectrum / spectrum[0])[(places_F[:, None] - places_F).abs()]
    return weights_FM.sum(0) ** 2 / (weights_FM * (correlation_FF @ weights_FM)).sum(0)


def _stretch(length: int, longest: int, random: np.random.Generator) -> slice:
    width = int(random.integers(0, longest, endpoint=True))
    begin = int(random.integers(0, length - width, endpoint=True))
    return slice(begin, begin + width)


def _check_range(snr_db: tuple[float, float]) -> None:
    if not (math.isfinite(snr_db[0]) and math.isfinite(snr_db[1]) and snr_db[0] <= snr_db[1]):
        raise SettingsError(f"The range of noise is {snr_db} dB; expected two numbers, the lower one first, such as (5, 30).")
