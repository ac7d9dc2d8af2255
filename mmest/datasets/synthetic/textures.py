"""Noise and stripes: the textures of surfaces."""

import cv2
import numpy as np


def fractal_noise(rng: np.random.Generator, size: int, cell: float, octaves: int = 3) -> np.ndarray:
    """Smooth noise that sums ``octaves`` of halving cell and weight.

    Args:
        rng: source of the randomness.
        size: side of the square, in pixels.
        cell: side of the coarsest features, in pixels.
        octaves: number of scales.

    Returns:
        float32 array of shape (size, size) that spans [0, 1].
    """
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        cells = int(np.ceil(size / cell * 2**octave)) + 1
        grid = rng.random((max(cells, 2),) * 2, dtype=np.float32)
        total += 0.5**octave * cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
    total -= total.min()
    return total / total.max()


def mix(first, second, weight: np.ndarray) -> np.ndarray:
    """Colours between ``first`` (weight 0) and ``second`` (weight 1): H×W weights give H×W×3 float32."""
    first, second = np.float32(first), np.float32(second)
    return first + weight[..., None] * (second - first)


def stripes(size: int, period: float, angle: float) -> np.ndarray:
    """Sine stripes in [0, 1], ``period`` pixels apart, whose lines run at ``angle`` radians: float32 (size, size)."""
    y, x = np.mgrid[:size, :size].astype(np.float32)
    across = y * np.cos(angle) - x * np.sin(angle)
    return (0.5 + 0.5 * np.sin(2 * np.pi / period * across)).astype(np.float32)
