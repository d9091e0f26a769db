"""Metrics files: small JSON documents that are equal to the byte when the numbers are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def accuracy(guesses: list[int], truth: list[int]) -> float:
    """Give the share of right guesses."""
    return sum(guess == right for guess, right in zip(guesses, truth)) / len(truth)


def save(path: str, model: str, value: float) -> None:
    """Write one model's accuracy, rounded: one wine in 53 is 0.019."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"accuracy": round(value, 4), "model": model}, indent=2)
    Path(path).write_text(text + "\n", encoding="utf-8")


def load(path: str | Path) -> dict[str, Any]:
    """Read what `save` wrote."""
    score: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return score
