"""The parameters of the step that is running."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib


def read(table: str) -> dict[str, Any]:
    """Give one table of what gitml handed to this step or, when a module is started by hand, of `params.toml`."""
    handed = os.environ.get("GITML_PARAMS")
    values = json.loads(Path(handed).read_text(encoding="utf-8")) if handed else _from_project()
    settings: dict[str, Any] = values[table]
    return settings


def _from_project() -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        return tomllib.loads(Path("params.toml").read_text(encoding="utf-8"))
    sys.exit("to run this module by hand needs Python 3.11, which can read TOML; `gitml repro` does not")
