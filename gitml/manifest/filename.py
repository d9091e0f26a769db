"""File names made of names that people chose, for locks and pointers: harmless on every file system, never the same.

A name is percent-escaped, by the bytes of its UTF-8, outside a plain set of characters. One that is long, or that only
case tells apart from another, has its digest appended: an upper-case letter anywhere appends it, which needs no look at
the other names. `~` is never plain, so that nothing else can look like that.
"""

from __future__ import annotations

import string

from gitml.hashing.file import digest_bytes

PLAIN = frozenset(string.ascii_letters + string.digits + "_=,+-")
_LONGEST = 120


def escape_name(name: str, plain: frozenset[str]) -> str:
    """Write one component of a path; it holds no `/` and never begins with a dot."""
    escaped = "".join(
        c if c in plain else "".join(f"%{b:02X}" for b in c.encode("utf-8", "surrogatepass")) for c in name
    )
    if escaped.startswith("."):
        escaped = "%2E" + escaped[1:]
    if len(escaped) > _LONGEST or name != name.lower():
        return f"{escaped[:_LONGEST]}~{digest_bytes(name.encode('utf-8', 'surrogatepass')).hex[:12]}"
    return escaped
