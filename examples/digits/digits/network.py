"""The network, and how to run it the same way twice."""

import torch
from torch import nn


class SmallNetwork(nn.Module):
    """Two convolutions and one linear layer: images (n, 1, 8, 8) to logits (n, 10)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(2 * width * 16, 10),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


def be_deterministic(seed: int) -> None:
    """Fix the seed and the number of threads: sums split over other threads round otherwise."""
    torch.manual_seed(seed)
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True)
