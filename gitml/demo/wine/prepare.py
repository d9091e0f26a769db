"""Split the wines, cultivar by cultivar, into a training and a test set."""

from __future__ import annotations

import random

from wine import parameters, table

SOURCE = "data/wine.csv"


def main() -> None:
    """Write `build/train.csv` and `build/test.csv`."""
    settings = parameters.read("split")
    rng = random.Random(settings["seed"])
    wines = table.load(SOURCE)
    train: list[int] = []
    test: list[int] = []
    for cultivar in sorted({wine.cultivar for wine in wines}):
        rows = [number for number, wine in enumerate(wines) if wine.cultivar == cultivar]
        rng.shuffle(rows)
        cut = round(len(rows) * settings["test_share"])
        test += rows[:cut]
        train += rows[cut:]
    table.copy_rows(SOURCE, sorted(train), "build/train.csv")
    table.copy_rows(SOURCE, sorted(test), "build/test.csv")
    print(f"{len(train)} wines to train on, {len(test)} to test on")


if __name__ == "__main__":
    main()
