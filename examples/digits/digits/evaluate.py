"""Test one trained network, and refuse it when the baseline is as good."""

import argparse
import sys

import torch

from digits import dataset, scores
from digits.network import SmallNetwork, be_deterministic


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    seed = parser.parse_args().seed
    be_deterministic(seed)

    stored = torch.load(f"models/cnn-{seed}.pt", weights_only=True)
    network = SmallNetwork(stored["width"])
    network.load_state_dict(stored["weights"])
    network.eval()

    test = dataset.load("build/test.npz")
    with torch.inference_mode():
        guesses = network(torch.from_numpy(test.images).unsqueeze(1)).argmax(dim=1).numpy()
    accuracy = float((guesses == test.labels).mean())
    baseline = float(scores.load("metrics/baseline.json")["accuracy"])
    if accuracy <= baseline:
        sys.exit(f"seed {seed}: accuracy {accuracy:.4f} does not beat the baseline's {baseline:.4f}")
    scores.save(f"metrics/cnn-{seed}.json", model=f"network, seed {seed}", accuracy=accuracy, gain=accuracy - baseline)
    print(f"seed {seed}: accuracy {accuracy:.4f}, baseline {baseline:.4f}")


if __name__ == "__main__":
    main()
