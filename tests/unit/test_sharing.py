from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitml.store.atomic import write_atomically
from gitml.store.claims import Claims
from gitml.store.objects import CorruptObjectError, ObjectStore
from gitml.store.sharing import make_folder


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A cache that a group may write to, used by somebody who lets nobody read what is theirs."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o2775)
    before = os.umask(0o077)
    yield tmp_path / "cache"
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def fill(root: Path) -> None:
    store = ObjectStore(str(root))
    store.add_bytes(b"loose")
    with store.packing(loose_below=0) as packer:
        digest = packer.add_bytes(b"packed")
    (pack,) = root.glob("packs/*.pack")
    before = mode(pack)
    pack.chmod(0o600)
    pack.write_bytes(pack.read_bytes().replace(b"packed", b"damage"))
    pack.chmod(before)
    with pytest.raises(CorruptObjectError):
        store.read(digest)
    write_atomically(str(root / "runs" / "ab" / "c.json"), b"{}", tmp=str(root / "tmp"), cache=str(root))
    claim = Claims(str(root / "claims")).attempt("key")
    assert claim is not None
    claim.release()


def test_a_group_shares_what_is_made_in_its_cache(root: Path) -> None:
    fill(root)
    kinds = {"objects": 0o444, "packs": 0o444, "runs": 0o664, "claims": 0o664, "quarantine": 0o664}
    assert {path.name for path in root.iterdir()} == {*kinds, "tmp"}
    for path in root.rglob("*"):
        if path.is_dir():
            assert mode(path) == 0o2775, path
        else:
            expected = 0o664 if path.suffix == ".damaged" else kinds[path.relative_to(root).parts[0]]
            assert mode(path) == expected, path


def test_a_cache_of_ones_own_obeys_the_umask(root: Path) -> None:
    root.chmod(0o755)
    fill(root)
    assert all(mode(path) & 0o077 == 0 for path in root.rglob("*"))


def test_a_folder_that_exists_keeps_its_mode(root: Path) -> None:
    (root / "runs").mkdir(mode=0o700)
    make_folder(str(root), str(root / "runs" / "ab"))
    assert mode(root / "runs") & 0o777 == 0o700
    assert mode(root / "runs" / "ab") == 0o2775
