"""Split scikit-learn's digits, class by class, into a training and a test set."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from digits import dataset, parameters


def main() -> None:
    settings = parameters.read()["data"]
    bundle = load_digits()
    images = (bundle.images / 16).astype(np.float32)  # pixels are counts from 0 to 16
    labels = bundle.target.astype(np.int64)
    train, test = train_test_split(
        np.arange(len(labels)),
        test_size=settings["test_share"],
        random_state=settings["seed"],
        stratify=labels,
    )
    dataset.save("build/train.npz", dataset.Dataset(images[train], labels[train]))
    dataset.save("build/test.npz", dataset.Dataset(images[test], labels[test]))
    print(f"{len(train)} images to train on, {len(test)} to test on")


if __name__ == "__main__":
    main()
