"""A cache of loose objects, half of them garbage: what collecting and verifying take."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gitml.errors import EXIT_DAMAGED
from gitml.hashing.file import digest_bytes
from gitml.hashing.spread import usable_cpus
from gitml.manifest.pointerfile import encode_pointer, pointer_path
from gitml.model.source import Pointer
from gitml.model.tree import Entry, Kind, TreeEntry, encode_tree
from gitml.store.objects import ObjectStore
from tests.bench.child import Sample
from tests.bench.data.keeper import DATA
from tests.bench.data.keepers.gitml import CACHE, GitmlKeeper
from tests.bench.data.material import PER_FOLDER, SMALL, count_files, pieces
from tests.bench.data.programs import installed
from tests.bench.data.rounds import Sampler, by_turns
from tests.bench.data.site import Site, timed
from tests.bench.data.task import FIND_B3SUM, FIND_SIZES, Place, Task
from tests.bench.measure import Bench
from tests.bench.repository import NotDoneError, exit_of, quiet
from tests.bench.result import Result

_LONG_AGO = 1_600_000_000  # seconds since the epoch; beyond any grace period


@dataclass(frozen=True, kw_only=True, slots=True)
class CachePart:
    """gitml alone, beside what it takes to find and to read the same files."""

    bench: Bench
    keeper: GitmlKeeper
    objects: int

    def figures(self) -> Iterator[tuple[Place, Result]]:
        """Measure `gc --dry-run` and `verify`."""
        site = Site(bench=self.bench, keeper=self.keeper, name="cache")
        site.renew()
        self.bench.log(f"writing {self.objects} objects")
        garbage = self._fill(site)
        self.keeper.settle(site.folder)
        objects = str(site.folder / CACHE / "objects")
        finding = {FIND_SIZES: ["find", objects, "-type", "f", "-printf", "%s\n"]}
        collecting: dict[str, Sampler] = {"gitml": partial(self._gc, site, garbage)}
        yield from by_turns(self.bench, Task.CACHE_GC, {**self._bounds(finding), **collecting}, warm_up=True)
        summing = f"find '{objects}' -type f -print0 | xargs -0 -P {usable_cpus()} -n 1000 b3sum"
        reading = {FIND_B3SUM: ["sh", "-c", summing]} if installed({"b3sum": ["b3sum"]}) else {}
        proven: set[Path] = set()
        verifying: dict[str, Sampler] = {"gitml": partial(self._verify, site, proven)}
        yield from by_turns(self.bench, Task.CACHE_VERIFY, {**self._bounds(reading), **verifying}, warm_up=True)

    def _bounds(self, commands: dict[str, list[str]]) -> dict[str, Sampler]:
        return {name: partial(timed, self.bench, argv) for name, argv in commands.items()}

    def _fill(self, site: Site) -> int:
        """Store the objects, long ago, and name every other one by a pointer; gives how many are not named."""
        store = ObjectStore(str(site.folder / CACHE))
        entries: list[TreeEntry] = []
        for index, data in enumerate(pieces(self.objects, SMALL)):
            digest = store.add_bytes(data)
            os.utime(store.path(digest), (_LONG_AGO, _LONG_AGO))
            if index % 2:
                entries.append(TreeEntry(f"{index:07}", Kind.FILE, digest, len(data)))
        pointer = Pointer(path=DATA, entry=_store_trees(store, entries))
        file = site.folder / pointer_path(DATA)
        file.parent.mkdir(parents=True)
        file.write_bytes(encode_pointer(pointer))
        return self.objects - len(entries)

    def _gc(self, site: Site, garbage: int) -> Sample:
        """Ask what is garbage, and look whether the answer is right and all is still there."""
        argv = [self.keeper.program, "gc", "--dry-run"]
        objects = site.folder / CACHE / "objects"
        before = count_files(objects)
        sample = site.measure(argv)
        if not sample.exit_status:
            found = json.loads(quiet([*argv, "--json"], site.folder, self.keeper.environ))["objects"]
            if found != garbage:
                raise NotDoneError(f"gitml gc found {found} objects to delete, not {garbage}")
            if count_files(objects) != before:
                raise NotDoneError("gitml gc --dry-run deleted objects")
        return sample

    def _verify(self, site: Site, proven: set[Path]) -> Sample:
        if site.folder not in proven:
            self._prove_verify(site)
            proven.add(site.folder)
        return site.measure([self.keeper.program, "verify"])

    def _prove_verify(self, site: Site) -> None:
        """Look whether one flipped bit in an object is found, and mend it."""
        store = ObjectStore(str(site.folder / CACHE))
        data = next(pieces(1, SMALL))
        path = Path(store.path(digest_bytes(data)))
        path.chmod(0o644)
        path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
        found = exit_of([self.keeper.program, "verify"], site.folder, self.keeper.environ)
        path.unlink(missing_ok=True)
        store.add_bytes(data)
        if found != EXIT_DAMAGED:
            raise NotDoneError(f"gitml verify of a damaged cache exits with {found}, not with {EXIT_DAMAGED}")


def _store_trees(store: ObjectStore, entries: Sequence[TreeEntry]) -> Entry:
    """Store a folder of folders that names the entries, and give what a pointer says of it."""
    folders = []
    for start in range(0, len(entries), PER_FOLDER):
        part = entries[start : start + PER_FOLDER]
        size = sum(entry.size for entry in part)
        folders.append(TreeEntry(f"{start:07}", Kind.DIRECTORY, store.add_bytes(encode_tree(part)), size))
    root = store.add_bytes(encode_tree(folders))
    return Entry(Kind.DIRECTORY, root, sum(folder.size for folder in folders), len(entries))
