"""Test one trained network, and refuse it when the baseline is as good."""

from __future__ import annotations

import argparse
import sys

from wine import model, scores, table


def main() -> None:
    """Write `metrics/hidden-N.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hidden", type=int, required=True)
    units = parser.parse_args().hidden

    scale, network = model.load(f"models/hidden-{units}.json")
    test = table.load("build/test.csv")
    guesses = [network.predict(scale.apply(wine.measurements)) for wine in test]
    value = scores.accuracy(guesses, [wine.cultivar for wine in test])
    baseline = scores.load("metrics/baseline.json")["accuracy"]
    if value <= baseline:
        sys.exit(f"{units} hidden units: accuracy {value:.4f} does not beat the baseline's {baseline:.4f}")
    scores.save(f"metrics/hidden-{units}.json", f"network, hidden = {units}", value)
    print(f"{units} hidden units: accuracy {value:.4f}, baseline {baseline:.4f}")


if __name__ == "__main__":
    main()
