"""Hypothesis strategies of gitml's own values."""

from __future__ import annotations

import datetime
import os
import string

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from gitml.hashing.file import digest_bytes
from gitml.hashing.key import key_of
from gitml.model.digest import Digest
from gitml.model.lock import LockEntry
from gitml.model.path import PathError, check_name, check_path
from gitml.model.recipe import Recipe
from gitml.model.run import Run
from gitml.model.tree import Entry, Kind, TreeEntry

EXAMPLES = 1000 if os.environ.get("GITML_FULL") == "1" else 50

patiently = settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
"""For a machine that does other things meanwhile: no time limit for one example."""

_ZONES = st.none() | st.integers(-23 * 60, 23 * 60).map(lambda m: datetime.timezone(datetime.timedelta(minutes=m)))

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["$", "$date", "$$float", "$float", "nan", "1"])
    | st.dates()
    | st.times()
    | st.datetimes(timezones=_ZONES)
)
"""Every kind of parameter that is not a list or table."""

_names = st.text() | st.sampled_from(["$", "$date", "$float", "$$", "$datetime", "$time", "$x"])
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_names, inner, max_size=4), max_leaves=12
)
"""Parameter values."""

loaded_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["\ud800", 10**400, 1e999]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.just("\ud800"), inner, max_size=3),
    max_leaves=10,
)
"""What `json.loads` gives of bytes from anyone: NaN, infinities (`1e999`) and halves of surrogate pairs among it."""

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
"""JSON data as it is written."""


def _allowed_name(name: str) -> bool:
    try:
        check_name(name)
    except PathError:
        return False
    return name not in (".", "..")


def _allowed_path(path: str) -> bool:
    try:
        return check_path(path) == path
    except PathError:
        return False


digests: st.SearchStrategy[Digest] = st.binary(max_size=4).map(digest_bytes)
names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    _allowed_name
)
"""One component of a path."""
paths = st.lists(names, min_size=1, max_size=4).map("/".join).filter(_allowed_path)
"""Checked paths, in their one spelling."""

tree_entries = st.lists(
    st.builds(TreeEntry, names, st.sampled_from(Kind), digests, st.integers(0, 2**64 - 1)),
    max_size=8,
    unique_by=lambda entry: entry.name,
)
"""The entries of one folder, in any order."""

_files = st.builds(
    Entry, st.sampled_from([Kind.FILE, Kind.EXECUTABLE, Kind.SYMLINK]), digests, st.integers(0, 2**63), st.just(1)
)
_folders = st.builds(Entry, st.just(Kind.DIRECTORY), digests, st.integers(0, 2**63), st.integers(0, 2**31))
entries = _files | _folders
recipes = st.builds(Recipe, parts=st.dictionaries(st.text(min_size=1), json_values, max_size=5))
_outputs = st.dictionaries(paths, entries, max_size=3)

locks = st.builds(
    LockEntry,
    key=digests,
    recipe=recipes,
    outputs=_outputs,
    subpaths=_outputs,
    globs=st.dictionaries(st.text(), st.lists(st.text(), max_size=2).map(tuple), max_size=2),
    metrics=st.dictionaries(paths, json_values, max_size=2),
    accepted=st.none() | st.text(),
)

_texts = st.lists(st.text(), max_size=2).map(tuple)
_numbers = st.floats(0, 1e12)
runs = st.builds(
    Run,
    id=st.text(string.ascii_letters + string.digits + "-", min_size=1),
    step=st.text(),
    key=digests,
    recipe=recipes,
    outputs=_outputs,
    metrics=st.dictionaries(st.text(), json_values, max_size=2),
    params=st.dictionaries(st.text(), json_values, max_size=2),
    snapshot=st.none() | st.text(),
    branch=st.none() | st.text(),
    commands=_texts,
    started=_numbers,
    duration=_numbers,
    cpu_seconds=_numbers,
    peak_memory=st.integers(0, 2**50),
    exit_code=st.integers(0, 255),
    attempts=st.integers(1, 9),
    host=st.text(),
    user=st.text(),
    python=st.text(),
    packages=st.dictionaries(st.text(), st.text(), max_size=2),
    gpus=_texts,
    log=st.none() | digests,
    labels=_texts,
    tainted=_texts,
    accepted=st.none() | st.text(),
)


def key(parts: dict[str, object]) -> Digest:
    """The key of a recipe of these parts."""
    return key_of(Recipe(parts=parts))
