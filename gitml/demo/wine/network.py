"""A neural network with one hidden layer, in plain Python: tanh units, softmax, stochastic gradient descent."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Sequence

CLASSES = (1, 2, 3)


@dataclass
class Network:
    """Weights by unit, the bias last: `hidden` has one row of inputs + 1 for each unit, `output` one for each class."""

    hidden: list[list[float]]
    output: list[list[float]]

    @classmethod
    def random(cls, inputs: int, units: int, rng: random.Random) -> Network:
        """Start from small weights, scaled to the number of incoming ones."""
        return cls(_layer(units, inputs, rng), _layer(len(CLASSES), units, rng))

    def predict(self, measurements: Sequence[float]) -> int:
        """Name the likeliest class."""
        shares = self._forward(measurements)[1]
        return CLASSES[shares.index(max(shares))]

    def learn(self, measurements: Sequence[float], cultivar: int, rate: float) -> None:
        """Take one step down the gradient of the cross-entropy of one example."""
        inner, shares = self._forward(measurements)
        errors = [share - (label == cultivar) for share, label in zip(shares, CLASSES)]
        back = [sum(error * row[j] for error, row in zip(errors, self.output)) for j in range(len(inner))]
        _descend(self.output, errors, inner, rate)
        slopes = [error * (1 - value * value) for error, value in zip(back, inner)]
        _descend(self.hidden, slopes, measurements, rate)

    def _forward(self, measurements: Sequence[float]) -> tuple[list[float], list[float]]:
        inner = [math.tanh(_weigh(row, measurements)) for row in self.hidden]
        scores = [_weigh(row, inner) for row in self.output]
        powers = [math.exp(score - max(scores)) for score in scores]
        return inner, [power / sum(powers) for power in powers]


def _layer(units: int, inputs: int, rng: random.Random) -> list[list[float]]:
    return [[rng.gauss(0, 1) / math.sqrt(inputs) for _ in range(inputs)] + [0.0] for _ in range(units)]


def _weigh(row: Sequence[float], values: Sequence[float]) -> float:
    return sum(weight * value for weight, value in zip(row, values)) + row[-1]


def _descend(layer: list[list[float]], errors: Sequence[float], values: Sequence[float], rate: float) -> None:
    for row, error in zip(layer, errors):
        for j, value in enumerate(values):
            row[j] -= rate * error * value
        row[-1] -= rate * error
