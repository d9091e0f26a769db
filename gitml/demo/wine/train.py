"""Train one network with a given number of hidden units."""

from __future__ import annotations

import argparse
import random

from wine import model, parameters, table
from wine.network import Network


def main() -> None:
    """Write `models/hidden-N.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hidden", type=int, required=True)
    units = parser.parse_args().hidden
    settings = parameters.read("train")
    rng = random.Random(settings["seed"])

    wines = table.load("build/train.csv")
    scale = model.Scale.of(wines)
    examples = [(scale.apply(wine.measurements), wine.cultivar) for wine in wines]
    network = Network.random(len(examples[0][0]), units, rng)
    for _ in range(settings["epochs"]):
        rng.shuffle(examples)
        for measurements, cultivar in examples:
            network.learn(measurements, cultivar, settings["lr"])

    right = sum(network.predict(measurements) == cultivar for measurements, cultivar in examples)
    print(f"{units} hidden units: {right} of {len(examples)} training wines right")
    model.save(f"models/hidden-{units}.json", scale, network)


if __name__ == "__main__":
    main()
