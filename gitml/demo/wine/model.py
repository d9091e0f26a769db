"""A trained model on disk: the network, and the scale that its measurements are brought to."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, pstdev
from typing import Sequence

from wine.network import Network
from wine.table import Wine


@dataclass
class Scale:
    """Mean and standard deviation of each measurement in the training set."""

    centre: list[float]
    spread: list[float]

    @classmethod
    def of(cls, wines: Sequence[Wine]) -> Scale:
        """Measure a set of wines."""
        columns = list(zip(*(wine.measurements for wine in wines)))
        return cls([mean(column) for column in columns], [pstdev(column) for column in columns])

    def apply(self, measurements: Sequence[float]) -> list[float]:
        """Bring measurements to mean 0 and deviation 1."""
        return [(x - centre) / spread for x, centre, spread in zip(measurements, self.centre, self.spread)]


def save(path: str, scale: Scale, network: Network) -> None:
    """Write a model as JSON. Weights keep eight digits: the last bits of a float differ between processors."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    document = {"scale": asdict(scale), "network": asdict(network)}
    rounded = json.loads(json.dumps(document), parse_float=lambda text: round(float(text), 8))
    Path(path).write_text(json.dumps(rounded, indent=1) + "\n", encoding="utf-8")


def load(path: str) -> tuple[Scale, Network]:
    """Read what `save` wrote."""
    document = json.loads(Path(path).read_text(encoding="utf-8"))
    return Scale(**document["scale"]), Network(**document["network"])
