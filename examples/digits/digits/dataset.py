"""Images and labels on disk: `images` float32 of shape (n, 8, 8) in 0..1, `labels` int64 of shape (n,)."""

from pathlib import Path
from typing import NamedTuple

import numpy as np


class Dataset(NamedTuple):
    images: np.ndarray
    labels: np.ndarray


def save(path: str, data: Dataset) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, images=data.images, labels=data.labels)


def load(path: str) -> Dataset:
    with np.load(path) as arrays:
        return Dataset(arrays["images"], arrays["labels"])
