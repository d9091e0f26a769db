"""Train one network from one seed."""

import argparse
from pathlib import Path

import torch
from torch import nn

from digits import dataset, parameters
from digits.network import SmallNetwork, be_deterministic


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    seed = parser.parse_args().seed
    settings = parameters.read()["train"]
    be_deterministic(seed)

    data = dataset.load("build/train.npz")
    images, labels = torch.from_numpy(data.images).unsqueeze(1), torch.from_numpy(data.labels)
    network = SmallNetwork(settings["width"])
    optimiser = torch.optim.Adam(network.parameters(), lr=settings["lr"])
    for epoch in range(settings["epochs"]):
        loss = train_epoch(network, optimiser, images, labels, settings["batch"])
        print(f"epoch {epoch + 1:2d}  loss {loss:.4f}", flush=True)

    Path("models").mkdir(exist_ok=True)
    torch.save({"width": settings["width"], "weights": network.state_dict()}, f"models/cnn-{seed}.pt")


def train_epoch(
    network: nn.Module, optimiser: torch.optim.Optimizer, images: torch.Tensor, labels: torch.Tensor, batch: int
) -> float:
    """Go once through the images in a new random order; give the mean loss."""
    total = 0.0
    for chosen in torch.randperm(len(labels)).split(batch):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(network(images[chosen]), labels[chosen])
        loss.backward()
        optimiser.step()
        total += loss.item() * len(chosen)
    return total / len(labels)


if __name__ == "__main__":
    main()
