"""From the light of a scene to the numbers of a picture."""

import cv2
import numpy as np

from .domains import Domain


def expose(rgb: np.ndarray, domain: Domain, rng: np.random.Generator) -> np.ndarray:
    """Apply the light, the haze and the sensor of a domain.

    Args:
        rgb: uint8 RGB, shape (H, W, 3).
        domain: colour cast, haze, blur and noise to apply.
        rng: source of the noise and of the small differences between exposures.

    Returns:
        uint8 RGB of the same shape.
    """
    light = rgb.astype(np.float32) * np.float32(domain.cast) * np.float32(rng.uniform(0.92, 1.08))
    colour, share = domain.haze
    light = light * (1 - share) + np.float32(colour) * share
    light = cv2.GaussianBlur(light, (0, 0), domain.blur)
    # Photon noise is common to the channels in part: that is what makes grain rather than confetti.
    grain = rng.normal(0, domain.noise, (*rgb.shape[:2], 1)) * 0.8 + rng.normal(0, domain.noise, rgb.shape) * 0.6
    return np.clip(light + grain.astype(np.float32), 0, 255).astype(np.uint8)
