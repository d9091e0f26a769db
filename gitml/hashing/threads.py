"""How many threads may hash one file: as many as there are CPUs, but one alone in a forked child.

BLAKE3 keeps its threads in a pool that a fork does not copy: a child that hashed with them, once its parent had, would
wait for ever for threads that it does not have. Its siblings keep the other CPUs busy anyway.
"""

from __future__ import annotations

import os

from blake3 import blake3

_forked = False


def hash_threads() -> int:
    """Give what `blake3(max_threads=…)` may be told in this process."""
    return 1 if _forked else blake3.AUTO


def _remember_fork() -> None:
    global _forked  # noqa: PLW0603 - a fact about this process, which only a fork changes
    _forked = True


os.register_at_fork(after_in_child=_remember_fork)
