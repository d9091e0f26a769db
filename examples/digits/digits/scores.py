"""Metrics files: small JSON documents that are equal to the byte when the numbers are."""

import json
from pathlib import Path


def save(path: str, *, model: str, accuracy: float, **more: float) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    # Four digits: one image in 450 is 0.0022, and the last bits of a float differ between processors.
    numbers = {name: round(value, 4) for name, value in {"accuracy": accuracy, **more}.items()}
    Path(path).write_text(json.dumps({"model": model, **numbers}, indent=2) + "\n", encoding="utf-8")


def load(path: str | Path) -> dict[str, str | float]:
    return json.loads(Path(path).read_text(encoding="utf-8"))
