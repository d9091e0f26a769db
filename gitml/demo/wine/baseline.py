"""The nearest class mean on raw measurements: three averaged wines, nothing learnt."""

from __future__ import annotations

import math

from wine import scores, table


def main() -> None:
    """Write `metrics/baseline.json`."""
    train, test = table.load("build/train.csv"), table.load("build/test.csv")
    means = {}
    for cultivar in sorted({wine.cultivar for wine in train}):
        columns = zip(*(wine.measurements for wine in train if wine.cultivar == cultivar))
        means[cultivar] = [sum(column) / len(column) for column in columns]
    guesses = [min(means, key=lambda cultivar: math.dist(means[cultivar], wine.measurements)) for wine in test]
    value = scores.accuracy(guesses, [wine.cultivar for wine in test])
    scores.save("metrics/baseline.json", "nearest class mean", value)
    print(f"baseline accuracy {value:.4f}")


if __name__ == "__main__":
    main()
