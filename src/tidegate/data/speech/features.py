"""Log-mel filterbank features with Kaldi's definitions, of a whole recording or as it arrives.

They are those of Kaldi's compute-fbank-feats without dither, and of kaldi-native-fbank up to its rounding (2e-4 for speech, as tests
hold). Shape letters beyond the project's: N samples, W samples of a frame, F frequencies of the Fourier transform below Nyquist, M mel
bands.
"""

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from tidegate.errors import DataError, SettingsError

FULL_SCALE = 32768.0
"""Kaldi reads 16-bit samples as they are."""
LEAST_ENERGY = torch.finfo(torch.float32).eps
"""Energies are raised to this before the logarithm, as Kaldi does: -15.94 is digital silence."""
DELTA_WINDOW = 2
"""Frames to each side that a slope is measured over, for each order (Kaldi's add-deltas)."""
BLOCK_FRAMES = 1024
"""Frames computed at once: some MB, so that memory does not grow with the recording."""


@dataclass(frozen=True)
class FeatureSettings:
    """What a frame of features is. Raises SettingsError for what cannot be.

    rate         samples a second
    bands        mel bands, 3 or more
    window_ms    length of a frame; hop_ms: from frame to frame
    low, high    Hz, the edges of the lowest and the highest band; high up to 0: so much below half the rate
    preemphasis  each sample less this share of the one before it
    deltas       orders of slopes over time that are appended as channels: 0, 1 or 2
    energy       the frame's log energy as the first channel
    """

    rate: int = 16000
    bands: int = 40
    window_ms: float = 25.0
    hop_ms: float = 10.0
    low: float = 20.0
    high: float = 0.0
    preemphasis: float = 0.97
    deltas: int = 0
    energy: bool = False

    def __post_init__(self) -> None:
        for name, fits, expected in (
            ("rate", self.rate >= 1, "1 or more, in Hz"),
            ("bands", self.bands >= 3, "3 or more"),
            ("window_ms", self.window >= 2, f"2 samples or more, at {self.rate} Hz"),
            ("hop_ms", 1 <= self.hop <= self.window, f"a sample or more at {self.rate} Hz, and at most the window"),
            ("low", 0.0 <= self.low < self.highest, f"0 or more, and below the upper edge of {self.highest:g} Hz"),
            ("high", self.highest <= self.rate / 2, f"at most half the rate, {self.rate / 2:g} Hz"),
            ("preemphasis", 0.0 <= self.preemphasis <= 1.0, "from 0 to 1"),
            ("deltas", self.deltas in (0, 1, 2), "0, 1 or 2"),
        ):
            if not fits:
                raise SettingsError(f"{name} of the features is {getattr(self, name)}; expected {expected}.")
        mel_filters(self)

    @property
    def statics(self) -> int:
        """Channels before slopes are appended."""
        return self.bands + self.energy

    @property
    def channels(self) -> int:
        """Channels of a frame."""
        return self.statics * (1 + self.deltas)

    @property
    def window(self) -> int:
        """Samples of a frame."""
        return int(self.rate * self.window_ms / 1000)

    @property
    def hop(self) -> int:
        """Samples from frame to frame."""
        return int(self.rate * self.hop_ms / 1000)

    @property
    def hop_seconds(self) -> float:
        """From frame to frame as they are: a whole number of samples."""
        return self.hop / self.rate

    @property
    def transform(self) -> int:
        """Samples of the Fourier transform: the window filled up to a power of two."""
        return 1 << (self.window - 1).bit_length()

    @property
    def highest(self) -> float:
        """Upper edge of the highest band in Hz."""
        return self.high if self.high > 0 else self.rate / 2 + self.high


def num_frames(num_samples: int, settings: FeatureSettings) -> int:
    """Frames that lie within so many samples whole (Kaldi's snip-edges)."""
    return 0 if num_samples < settings.window else 1 + (num_samples - settings.window) // settings.hop


def log_mel(samples_N: Tensor, settings: FeatureSettings) -> Tensor:
    """Features [T, channels] float32 of samples from -1 to 1; none where they are shorter than a frame. Raises DataError for other input.

    Computed in float64 and then rounded, so that a frame does not depend on its neighbours in a block.
    """
    base_TC = _static_features(_checked(samples_N), settings)
    return deltas(base_TC, settings.deltas)


def deltas(x_TC: Tensor, orders: int) -> Tensor:
    """x with its slopes over time appended, [T, C * (1 + orders)]; the first and the last frame go on beyond the edges.

    d_t = sum_k k x_(t+k) / sum_k k^2 for k from -2 to 2; the second order applies the same weights to themselves, not to d, so that at the
    edges x goes on and not d (Kaldi's add-deltas).
    """
    if orders == 0 or len(x_TC) == 0:
        return x_TC.repeat(1, 1 + orders)
    reach = DELTA_WINDOW * orders
    return _append_slopes(torch.cat([x_TC[:1].expand(reach, -1), x_TC, x_TC[-1:].expand(reach, -1)]), orders)


class FeatureStream:
    """The frames of `log_mel` while samples arrive, equal to those of the whole whatever the pieces (to the last bit of a float32).

    A frame comes with its last sample; with slopes, 2 frames later for each order.
    """

    def __init__(self, settings: FeatureSettings) -> None:
        self.settings = settings
        self._reach = DELTA_WINDOW * settings.deltas
        self._clear()

    def feed(self, samples_N: Tensor) -> Tensor:
        """The frames [t, channels] that these samples complete. Raises DataError as `log_mel` does."""
        self._samples = torch.cat([self._samples, _checked(samples_N)])
        base_TC = _static_features(self._samples, self.settings)
        self._samples = self._samples[len(base_TC) * self.settings.hop :].clone()
        return self._with_slopes(base_TC)

    def finish(self) -> Tensor:
        """The frames [t, channels] that waited for later ones. The stream then stands at the beginning of another recording."""
        last_1C = self._base[-1:]
        frames_TC = self._with_slopes(last_1C.expand(self._reach, -1) if len(last_1C) else last_1C)
        self._clear()
        return frames_TC

    def _clear(self) -> None:
        self._samples = torch.zeros(0)
        self._base = torch.zeros(0, self.settings.statics)

    def _with_slopes(self, base_TC: Tensor) -> Tensor:
        if self._reach == 0:
            return base_TC
        if len(self._base) == 0 and len(base_TC):
            self._base = base_TC[:1].expand(self._reach, -1)
        self._base = torch.cat([self._base, base_TC])
        if len(self._base) <= 2 * self._reach:
            return torch.zeros(0, self.settings.channels)
        frames_TC = _append_slopes(self._base, self.settings.deltas)
        self._base = self._base[-2 * self._reach :].clone()
        return frames_TC


@cache
def mel_filters(settings: FeatureSettings) -> Tensor:
    """Weights of the bands, float64 [F, M]: triangles over mel(f) = 1127 ln(1 + f / 700), each from its left neighbour's peak to its right
    neighbour's (Kaldi, after HTK). Raises SettingsError where a band is narrower than the frequencies are apart."""
    low, high = _mel(torch.tensor([settings.low, settings.highest], dtype=torch.float64))
    peaks = low + (high - low) / (settings.bands + 1) * torch.arange(settings.bands + 2, dtype=torch.float64)
    left, centre, right = peaks[:-2], peaks[1:-1], peaks[2:]
    mel_F1 = _mel(frequencies(settings))[:, None]
    weights_FM = torch.minimum((mel_F1 - left) / (centre - left), (right - mel_F1) / (right - centre)).clamp_min(0.0)
    empty = int((weights_FM.sum(0) == 0.0).sum())
    if empty:
        raise SettingsError(
            f"{empty} of {settings.bands} mel bands hold no frequency of a frame of {settings.window_ms:g} ms at {settings.rate} Hz. "
            f"Choose fewer bands or a longer window."
        )
    return weights_FM


def frequencies(settings: FeatureSettings) -> Tensor:
    """Hz of the Fourier transform's frequencies below Nyquist, float64 [F]."""
    return torch.arange(settings.transform // 2, dtype=torch.float64) * (settings.rate / settings.transform)


def _mel(hertz: Tensor) -> Tensor:
    return 1127.0 * torch.log1p(hertz / 700.0)


@cache
def povey_window(length: int) -> Tensor:
    """Kaldi's povey window, float64: a Hann window to the power of 0.85, which ends at zero."""
    return torch.hann_window(length, periodic=False, dtype=torch.float64) ** 0.85


def _checked(samples_N: Tensor) -> Tensor:
    if samples_N.ndim != 1 or not samples_N.is_floating_point():
        kind = str(samples_N.dtype).removeprefix("torch.")
        raise DataError(
            f"Samples are {kind} of shape {tuple(samples_N.shape)}; expected floats from -1 to 1 of one channel, shape (N,). "
            f"Divide 16-bit samples by 32768; of several channels take one or their mean."
        )
    return samples_N


def _static_features(samples_N: Tensor, settings: FeatureSettings) -> Tensor:
    """[T, statics] float32."""
    count = num_frames(len(samples_N), settings)
    if count == 0:
        return torch.zeros(0, settings.statics)
    frames_TW = samples_N.unfold(0, settings.window, settings.hop)
    return torch.cat([_block(frames, settings) for frames in frames_TW.split(BLOCK_FRAMES)])


def _block(frames_TW: Tensor, settings: FeatureSettings) -> Tensor:
    """The equations: mean removed, energy, preemphasis (the first sample stands for the one before it), window, power, bands."""
    frames_TW = frames_TW.double() * FULL_SCALE
    frames_TW -= frames_TW.mean(1, keepdim=True)
    emphasised_TW = torch.cat([frames_TW[:, :1], frames_TW[:, :-1]], 1).mul_(-settings.preemphasis).add_(frames_TW)
    spectrum_TF = torch.fft.rfft(emphasised_TW.mul_(povey_window(settings.window)), n=settings.transform)[:, :-1]
    energies_TC = (spectrum_TF.real**2 + spectrum_TF.imag**2) @ mel_filters(settings)
    if settings.energy:
        energies_TC = torch.cat([(frames_TW**2).sum(1, keepdim=True), energies_TC], 1)
    return energies_TC.clamp_min_(LEAST_ENERGY).log_().float()


def _append_slopes(x_SC: Tensor, orders: int) -> Tensor:
    """[S - 2 reach, C * (1 + orders)]: each frame that has as many to both sides as the highest order reaches."""
    reach = DELTA_WINDOW * orders
    steps = len(x_SC) - 2 * reach
    parts = []
    for order, weights in enumerate(_slope_weights(orders)):
        begin = reach - DELTA_WINDOW * order
        parts.append(sum((weight * x_SC[begin + k : begin + k + steps] for k, weight in enumerate(weights)), torch.zeros(())))
    return torch.cat(parts, 1)


@cache
def _slope_weights(orders: int) -> tuple[tuple[float, ...], ...]:
    """Of order 0: 1; of each next order the one before it convolved with (-2, -1, 0, 1, 2) / 10."""
    offsets = range(-DELTA_WINDOW, DELTA_WINDOW + 1)
    square = sum(k * k for k in offsets)
    weights: list[tuple[float, ...]] = [(1.0,)]
    for _ in range(orders):
        last = weights[-1]
        longer = [0.0] * (len(last) + 2 * DELTA_WINDOW)
        for place, weight in enumerate(last):
            for shift, k in enumerate(offsets):
                longer[place + shift] += weight * k / square
        weights.append(tuple(longer))
    return tuple(weights)
