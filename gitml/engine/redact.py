"""Keep the values of a step's secrets out of what is stored and shown."""

from __future__ import annotations

import os
from collections.abc import Mapping

from gitml.model.step import Step


def without_secrets(data: bytes, step: Step, environ: Mapping[str, str]) -> bytes:
    """Replace the values of a step's secrets by `***`."""
    for name in step.secrets:
        value = os.fsencode(environ.get(name, ""))
        if value:
            data = data.replace(value, b"***")
    return data
