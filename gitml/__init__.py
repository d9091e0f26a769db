"""Make for machine learning, native to Git."""

from __future__ import annotations

from typing import Any

from gitml.version import __version__

__all__ = ["__version__", "params"]


def params() -> dict[str, Any]:
    """Give the parameters that the running step declares, as nested tables.

    In a script that is started by hand, all parameters of the project that the current folder lies in: a script works
    standing alone. Values are what TOML, YAML and JSON can say; a missing name is a `KeyError`, as of any dictionary.

    Raises:
        gitml.errors.UsageError: There is no project here, or its declaration is not valid.
    """
    import os

    from gitml.project.params import read_params  # loaded here: `import gitml` itself costs nothing

    return read_params(os.getcwd(), os.environ)
