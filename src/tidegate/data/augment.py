"""Training batches changed by chance, so that a network does not learn what is accidental: noise, size, pace and mixtures.

Shape letters: B sequences, T steps of the longest, C channels. A missing value stays missing, and padding stays zero.
"""

import numpy as np

from tidegate.config_classify import ClassTrainingSettings
from tidegate.data.sequence_batches import SequenceBatch

WINDOW = 0.1
"""Share of the steps that a warp makes twice as fast or half as fast (Le Guennec et al. 2016, 'Data augmentation for time series
classification using convolutional neural networks')."""


def augment(batch: SequenceBatch, settings: ClassTrainingSettings, random: np.random.Generator) -> SequenceBatch:
    """The batch as `settings` change it: the same for the same state of `random`."""
    x_BTC, lengths_B = batch.x_BTC, batch.lengths_B
    if settings.warp or settings.crop:
        x_BTC = at_another_pace(x_BTC, lengths_B, settings.warp, settings.crop, random)
    if settings.magnitude:
        x_BTC = x_BTC * np.exp(random.normal(0.0, settings.magnitude, (len(x_BTC), 1, x_BTC.shape[2]))).astype(np.float32)
    if settings.jitter:
        noise_BTC = random.normal(0.0, settings.jitter, x_BTC.shape).astype(np.float32)
        x_BTC = x_BTC + noise_BTC * (np.arange(x_BTC.shape[1]) < lengths_B[:, None])[..., None]
    batch = batch._replace(x_BTC=x_BTC)
    return mixed(batch, settings.mixup, random) if settings.mixup else batch


def at_another_pace(x_BTC: np.ndarray, lengths_B: np.ndarray, warp: float, crop: float, random: np.random.Generator) -> np.ndarray:
    """Each sequence read at other places, linear between its steps, as long as it was. A share `warp` of them passes a window of its steps
    twice as fast or half as fast; of all at most a share `crop` of the steps is left out at the ends."""
    result = x_BTC.copy()
    for number, length in enumerate(lengths_B):
        begin, cut = random.uniform(0.0, 1.0), random.uniform(0.0, crop)
        window, pace, warps = random.uniform(0.0, 1.0 - WINDOW), random.choice((0.5, 2.0)), random.uniform() < warp
        source = np.array([0.0, window, window + WINDOW, 1.0])
        target = source + np.array([0.0, 0.0, 1.0, 1.0]) * (WINDOW * (pace - 1.0) if warps else 0.0)
        place = np.interp(np.linspace(0.0, target[-1], int(length)), target, source)
        place = (begin * cut + (1.0 - cut) * place) * (length - 1)
        low = np.minimum(place.astype(np.int64), max(0, int(length) - 2))
        high = np.minimum(low + 1, max(0, int(length) - 1))
        share = (place - low).astype(np.float32)[:, None]
        between = (1.0 - share) * x_BTC[number, low] + share * x_BTC[number, high]
        # Exactly at a step its neighbour does not matter, not even one that is missing.
        result[number, :length] = np.where(share == 0.0, x_BTC[number, low], np.where(share == 1.0, x_BTC[number, high], between))
    return result


def mixed(batch: SequenceBatch, alpha: float, random: np.random.Generator) -> SequenceBatch:
    """Each sequence mixed with another of the batch of the same length, of which it keeps at least half (Zhang et al. 2018)."""
    partners_B = random.permutation(len(batch.x_BTC))
    draws_B = random.beta(alpha, alpha, len(partners_B))
    same_B = batch.lengths_B == batch.lengths_B[partners_B]
    shares_B = np.where(same_B, np.maximum(draws_B, 1.0 - draws_B), 1.0).astype(np.float32)
    share_B11 = shares_B[:, None, None]
    other_BTC = np.where(same_B[:, None, None], batch.x_BTC[partners_B], batch.x_BTC)
    return batch._replace(x_BTC=share_B11 * batch.x_BTC + (1.0 - share_B11) * other_BTC, partners_B=partners_B, shares_B=shares_B)
