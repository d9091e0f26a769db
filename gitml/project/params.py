"""The parameters of the step that a script runs in, or the project's own when it is started by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping

from gitml.errors import UsageError
from gitml.manifest.load import load
from gitml.model.value import Value, from_json
from gitml.project.declaration import read_declaration
from gitml.project.place import find_place

VARIABLE = "GITML_PARAMS"


def read_params(folder: str, environ: Mapping[str, str]) -> dict[str, Value]:
    """Give nested tables of parameters.

    In a step, those that the step declares; a script that reads another one fails there, as it should: its value would
    not be part of the key. Started by hand, all parameters of the project that `folder` lies in.

    Raises:
        UsageError: There is no project, or its declaration is not valid.
    """
    given = environ.get(VARIABLE)
    if given is not None:
        try:
            with open(given, "rb") as file:
                found = from_json(json.loads(file.read()))
        except (OSError, ValueError) as error:
            raise UsageError(f"{VARIABLE} names {given}, which cannot be read: {error}") from error
        return dict(found) if isinstance(found, Mapping) else {}
    root = find_place(folder, environ).root

    return dict(load(lambda path: read_declaration(root, path)).params)
