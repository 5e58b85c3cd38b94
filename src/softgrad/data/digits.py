"""The handwritten digits that scikit-learn ships: 1797 images of 8 x 8 pixels, ten classes."""

from __future__ import annotations

import numpy as np

from softgrad.data.dataset import Dataset


def read_digits() -> Dataset:
    """Pixels 0..16 as uint8, labels 0..9."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return Dataset(
        name="digits",
        X=bunch.data.astype(np.uint8),
        y=bunch.target.astype(np.int64),
        image_shape=(8, 8),
        unit=16.0,
        target_name="digit",
    )
