"""The parameters of the step that is running."""

import json
import os
import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read() -> dict[str, Any]:
    """Give what gitml handed to this step or, when a module is started by hand, the project's own values."""
    handed = os.environ.get("GITML_PARAMS")
    if handed is not None:
        return json.loads(Path(handed).read_text(encoding="utf-8"))
    return tomllib.loads(Path("params.toml").read_text(encoding="utf-8"))
