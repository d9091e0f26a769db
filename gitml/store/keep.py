"""Which recorded runs are kept: pure choice, by what locks name, by age and by number."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import NamedTuple

from gitml.model.mention import Mentions, mentioned
from gitml.model.record import run_from_json
from gitml.model.run import SCHEMA, Run
from gitml.model.tree import Entry

_NO_RUN = "unreadable records"


class Gist(NamedTuple):
    """What the choice needs of a run: a tenth of what its card takes in memory."""

    id: str
    step: str
    key: str
    started: float
    servable: bool
    outputs: Mapping[str, Entry]
    snapshot: str | None

    @classmethod
    def of(cls, run: Run) -> Gist:
        """Leave out the rest."""
        return cls(run.id, run.step, run.key, run.started, run.servable, run.outputs, run.snapshot)


class RunFile(NamedTuple):
    """The record of a run. `run`: None where it cannot be read; `is_newer`: because a later gitml wrote it.

    `changed`: when the file was written, in seconds since the epoch.
    """

    path: str
    changed: float
    mentions: Mentions
    run: Gist | None = None
    is_newer: bool = False

    @property
    def step(self) -> str:
        """The step that ran, or a word for all that cannot be read."""
        return self.run.step if self.run is not None else _NO_RUN

    @property
    def moment(self) -> float:
        """When it was last alive: a long run is as old as its end, and a copied record as old as the copy."""
        return max(self.changed, self.run.started if self.run is not None else 0.0)


class Policy(NamedTuple):
    """What is kept beside what is named: runs of the last `grace` seconds, and the last few good ones of each step."""

    now: float
    grace: float
    keep_last: int = 0

    def is_young(self, moment: float) -> bool:
        """Tell whether something is within the grace period; what seems to come from the future is."""
        return self.now - moment < self.grace


def run_files(root: str) -> Iterator[RunFile]:
    """Read all records of the cache at `root`; what is deleted meanwhile is passed over."""
    top = os.path.join(root, "runs")
    for shard in _names(top):
        folder = os.path.join(top, shard)
        for name in _names(folder):
            if name.endswith(".json"):
                try:
                    with open(os.path.join(folder, name), "rb") as file:
                        data, changed = file.read(), os.fstat(file.fileno()).st_mtime
                except FileNotFoundError:
                    continue
                yield _run_file(os.path.join(folder, name), changed, data)


def kept(files: Sequence[RunFile], named: Set[str], policy: Policy) -> list[RunFile]:
    """Choose the runs to keep; `named`: the digests that locks and pointers name.

    Of the runs whose key a lock names, those are kept whose outputs it names as well: without one, a deleted output
    could not be restored. Where none has these outputs, all good ones of the key are kept.
    """
    keep = {file.path for file in files if file.is_newer or policy.is_young(file.moment)}
    good = [file for file in files if file.run is not None and file.run.servable]
    for of_key in _grouped(good, lambda run: run.key if run.key in named else None).values():
        exact = [file for file in of_key if _outputs(file) <= named]
        keep.update(file.path for file in exact or of_key)
    if policy.keep_last:
        for of_step in _grouped(good, lambda run: run.step).values():
            newest = sorted(of_step, key=lambda file: file.run.id if file.run else "", reverse=True)
            keep.update(file.path for file in newest[: policy.keep_last])
    return [file for file in files if file.path in keep]


def superseded(files: Sequence[RunFile], is_whole: Callable[[Mapping[str, Entry]], bool]) -> set[str]:
    """Name the records of runs whose outputs cannot be had any more while those of another run of their key can."""
    good = [file for file in files if file.run is not None and file.run.servable]
    found: set[str] = set()
    for of_key in _grouped(good, lambda run: run.key).values():
        if len(of_key) > 1:
            cut = [file.path for file in of_key if file.run is not None and not is_whole(file.run.outputs)]
            if len(cut) < len(of_key):
                found.update(cut)
    return found


def _grouped(files: Sequence[RunFile], key: Callable[[Gist], str | None]) -> dict[str, list[RunFile]]:
    groups: dict[str, list[RunFile]] = defaultdict(list)
    for file in files:
        name = key(file.run) if file.run is not None else None
        if name is not None:
            groups[name].append(file)
    return groups


def _outputs(file: RunFile) -> Set[str]:
    return {entry.digest for entry in file.run.outputs.values()} if file.run is not None else set()


def _run_file(path: str, changed: float, data: bytes) -> RunFile:
    mentions = mentioned([data])
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return RunFile(path, changed, mentions)
    try:
        return RunFile(path, changed, mentions, Gist.of(run_from_json(found)))
    except ValueError:  # RecordError is one
        return RunFile(path, changed, mentions, is_newer=_is_newer(found))


def _is_newer(data: object) -> bool:
    """Tell a record of a later gitml from one that is damaged, where its form says so."""
    match data:
        case {"schema": str(schema)}:
            return schema.startswith(SCHEMA.partition("/")[0] + "/")
    return False


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
