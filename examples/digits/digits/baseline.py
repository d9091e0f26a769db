"""The nearest class mean: ten averaged images, nothing trained. A network must be better to be worth its weights."""

import numpy as np

from digits import dataset, scores


def main() -> None:
    train, test = dataset.load("build/train.npz"), dataset.load("build/test.npz")
    means = np.stack([train.images[train.labels == digit].mean(axis=0) for digit in range(10)])
    distances = ((test.images[:, None] - means) ** 2).sum(axis=(2, 3))  # (n, 10)
    accuracy = float((distances.argmin(axis=1) == test.labels).mean())
    scores.save("metrics/baseline.json", model="nearest class mean", accuracy=accuracy)
    print(f"baseline accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main()
