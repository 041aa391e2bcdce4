"""Sounds made from a seed."""

import numpy as np


def voice(rate: int, seconds: float, seed: int = 0) -> np.ndarray:
    """Like a voice, float32 [N] from -1 to 1: harmonics of a moving pitch, louder and softer three times a second, and faint noise."""
    random = np.random.default_rng(seed)
    time = np.arange(int(rate * seconds)) / rate
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * time + seed)) / rate
    harmonics = np.sum([np.sin(k * phase) / k for k in range(1, 20) if k * 160 < rate / 2], axis=0)
    loudness = 0.5 + 0.5 * np.sin(2 * np.pi * 3 * time)
    return (0.1 * harmonics * loudness + 0.003 * random.normal(size=len(time))).astype(np.float32)
