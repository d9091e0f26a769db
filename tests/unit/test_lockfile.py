from __future__ import annotations

import json

import pytest

from gitml.hashing.file import digest_bytes
from gitml.manifest.lockfile import (
    MAX_BYTES,
    ConflictedLockError,
    LockFileError,
    decode_lock,
    encode_lock,
    lock_path,
)
from gitml.model.lock import LockEntry
from gitml.model.recipe import Recipe
from gitml.model.step import Step
from gitml.model.tree import Entry, Kind

X = digest_bytes(b"x")
LOCK = LockEntry(
    key=X,
    recipe=Recipe(parts={"command": {"run": ["é"]}, "param:lr": 0.1}),
    outputs={"out": Entry(Kind.FILE, X, 1), "dir": Entry(Kind.DIRECTORY, X, 5, 2)},
    metrics={"m.json": {"loss": 0.5}},
)
GOLDEN = """\
{
  "format": 1,
  "key": "blake3:@X@",
  "metrics": {
    "m.json": {
      "loss": 0.5
    }
  },
  "outputs": {
    "dir": {
      "digest": "blake3:@X@",
      "files": 2,
      "mode": "directory",
      "size": 5
    },
    "out": {
      "digest": "blake3:@X@",
      "mode": "file",
      "size": 1
    }
  },
  "recipe": {
    "command": {
      "run": [
        "é"
      ]
    },
    "param:lr": 0.1
  }
}
""".replace("@X@", X.hex)


def test_the_bytes_of_a_lock_are_pinned() -> None:
    assert encode_lock(LOCK) == GOLDEN.encode()
    assert decode_lock("lock", GOLDEN.encode()) == LOCK


def test_reasons_for_acceptance_stay() -> None:
    accepted = LockEntry(key=X, recipe=LOCK.recipe, outputs={}, accepted="a comment only")
    assert decode_lock("lock", encode_lock(accepted)).accepted == "a comment only"


@pytest.mark.parametrize(
    ("name", "instance", "path"),
    [
        ("train", None, ".gitml/lock/train.json"),
        ("train", "fold=0", ".gitml/lock/train/fold=0.json"),
        ("train", "lr=0.1", ".gitml/lock/train/lr=0.1.json"),
        ("a.b/c", None, ".gitml/lock/a%2Eb%2Fc.json"),
        ("train", "../../x", ".gitml/lock/train/%2E.%2F..%2Fx.json"),
        ("é", None, ".gitml/lock/%C3%A9.json"),
    ],
)
def test_where_a_lock_lies(name: str, instance: str | None, path: str) -> None:
    assert lock_path(Step(id=name, name=name, instance=instance)) == path


def test_names_that_a_file_system_may_fold_do_not_meet() -> None:
    paths = [lock_path(Step(id=name, name=name)) for name in ("train", "Train", "TRAIN")]
    assert len({path.lower() for path in paths}) == 3


def test_long_names_do_not_meet_and_fit() -> None:
    one, other = (lock_path(Step(id="x", name="x" * 300 + end)) for end in "ab")
    assert one != other
    assert len(one.rpartition("/")[2]) < 255


@pytest.mark.parametrize(
    "change",
    [
        {"key": "md5:1"},
        {"key": None},
        {"outputs": []},
        {"recipe": 1},
        {"format": "1"},
        {"format": True},
        {"globs": {"a": 1}},
    ],
)
def test_a_wrong_field_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(LockFileError):
        decode_lock("lock", json.dumps({**json.loads(GOLDEN), **change}).encode())


@pytest.mark.parametrize("path", ["../x", "/x", "", "a/../b", ".git/x", "a//b", "./a", "a\0b"])
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    data = json.loads(GOLDEN)
    with pytest.raises(LockFileError):
        decode_lock("lock", json.dumps({**data, "outputs": {path: data["outputs"]["out"]}}).encode())


def test_a_newer_format_says_to_update() -> None:
    with pytest.raises(LockFileError) as caught:
        decode_lock("lock", json.dumps({**json.loads(GOLDEN), "format": 2}).encode())
    assert "newer" in caught.value.message and "update" in (caught.value.hint or "")


def test_conflict_markers_are_told_apart() -> None:
    with pytest.raises(ConflictedLockError):
        decode_lock("lock", b"{\n<<<<<<< ours\n}")


def test_too_many_bytes_are_refused() -> None:
    with pytest.raises(LockFileError):
        decode_lock("lock", b" " * (MAX_BYTES + 1))
