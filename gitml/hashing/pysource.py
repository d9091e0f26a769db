"""What gitml knows of one Python file: its digest, what it imports, and where it imports what cannot be followed.

The digest is `py/1:<64 hex>`, BLAKE3 over the tagged token stream of `gitml.hashing.pylexer`, or `blake3:<64 hex>` of
the raw bytes where the lexer refuses. It depends on the bytes alone, so an analysis is cached by blob; a cache is
valid for one `ANALYSIS_VERSION`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from blake3 import blake3

from gitml.hashing.pyimports import Dynamic, Import, scan
from gitml.hashing.pylexer import LexError, encode, lex
from gitml.model.digest import Digest

ANALYSIS_VERSION = 1
"""To be raised with any change of what `analyse` gives for some bytes; a digest under `py/1` itself never changes."""

DIGEST_PREFIX = "py/1:"


@dataclass(frozen=True, kw_only=True, slots=True)
class PySource:
    """An analysed file.

    `imports`: in the order of the text, wherever they stand. `dynamic`: imports whose target only a run can know, and
    where the lexer stopped. `exports`: the names of a literal `__all__`, which a star may load as submodules.
    """

    digest: str
    imports: tuple[Import, ...] = ()
    dynamic: tuple[Dynamic, ...] = ()
    exports: tuple[str, ...] = ()

    def to_json(self) -> list[object]:
        """Give compact JSON data for a cache."""
        return [self.digest, self.imports, self.dynamic, self.exports]

    @classmethod
    def from_json(cls, data: Any) -> PySource:
        """Read what `to_json` gave, after JSON made lists of its tuples.

        Raises:
            ValueError: The data has another shape.
        """
        try:
            digest, imports, dynamic, exports = data
            return cls(
                digest=digest,
                imports=tuple(Import(line, level, module, tuple(names)) for line, level, module, names in imports),
                dynamic=tuple(Dynamic(line, text) for line, text in dynamic),
                exports=tuple(exports),
            )
        except TypeError as error:
            raise ValueError(f"not an analysed source: {error}") from error


def analyse(data: bytes) -> PySource:
    """Read a Python file in one pass.

    A file that the lexer refuses has the digest of its bytes, the imports that stand before the place where it
    stopped, and a note of that place: imports behind it are not followed, and that is never silent.
    """
    try:
        tokens = lex(data)
    except LexError as error:
        found = scan(error.tokens)
        stopped = Dynamic(error.line, f"cannot be read as Python: {error}")
        digest: str = Digest.from_raw(blake3(data).digest())
        return PySource(digest=digest, imports=found.imports, dynamic=(*found.dynamic, stopped), exports=found.exports)
    found = scan(tokens)
    digest = DIGEST_PREFIX + blake3(encode(tokens.texts)).hexdigest()
    return PySource(digest=digest, imports=found.imports, dynamic=found.dynamic, exports=found.exports)
