"""What is said, and where its bytes go, when an object is not what its name says."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence

from gitml.errors import DamagedError
from gitml.model.digest import Digest
from gitml.store.packfile import PackError
from gitml.store.sharing import make_folder

_HINT = "gitml verify names what needs it, and how to get it back"


class MissingObjectError(DamagedError):
    """An object is not in the store; `digest` names it. The message tells of `refused` packs, where it may be."""

    def __init__(self, digest: Digest, *, refused: Sequence[PackError] = ()) -> None:
        because = "".join(f"; {error.message}" for error in refused)
        super().__init__(f"object {digest} is not in the cache{because}", hint=_HINT)
        self.digest = digest


class CorruptObjectError(DamagedError):
    """An object had other bytes than its name says; it was moved to `quarantine/`."""

    def __init__(self, digest: Digest, quarantined: str) -> None:
        super().__init__(
            f"object {digest} in the cache is damaged; it was moved to {quarantined}",
            hint=_HINT,
        )
        self.digest = digest
        self.quarantined = quarantined


def quarantine_path(root: str, digest: Digest) -> str:
    """Make the folder and give a free name in it for what an object was found to be."""
    folder = os.path.join(root, "quarantine")
    make_folder(root, folder)
    # What was put here before may be the only copy of what somebody wrote into a hard link.
    name = free = os.path.join(folder, digest.hex)
    for number in itertools.count(1):
        if not os.path.lexists(free):
            break
        free = f"{name}.{number}"
    return free
