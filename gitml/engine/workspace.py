"""The outputs in the worktree: compared, set aside before a step writes, brought back or rescued afterwards.

What happens to files that stand there is written down before it happens (`$GIT_DIR/gitml/inflight/<run id>.json`), so
that whoever takes the claims next can finish or undo it; it is synced, so that a power cut leaves it whole or unnamed.
An execution that finds nothing in its way has no journal: the text of its claims says enough. Undoing is idempotent:
each path is moved back by one rename, and a path whose set-aside copy is gone is left alone.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import stat
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from gitml.engine.decide import OutputState
from gitml.engine.sinks import DigestSink, GitForm, StoringSink, is_junk
from gitml.engine.witness import Witness
from gitml.errors import DamagedError
from gitml.hashing.file import digest_bytes
from gitml.hashing.meter import SILENT, Meter
from gitml.hashing.statcache import StatCache
from gitml.hashing.tree import walk
from gitml.hashing.written import Written, remember_written
from gitml.model.record import entry_from_json, entry_to_json
from gitml.model.step import Output
from gitml.model.tree import Entry
from gitml.store.atomic import write_atomically
from gitml.store.beneath import parent_of, remove, remove_path
from gitml.store.build import Building
from gitml.store.checkout import materialise
from gitml.store.store import Store


class Move(NamedTuple):
    """An output (`entry`) that was renamed to `aside` (a full path); `proven`: its bytes can be had again."""

    path: str
    aside: str
    proven: bool
    entry: Entry


class Inflight(NamedTuple):
    """One execution (`key`: of what) or restore (`key`: None) that has touched the worktree and is not finished."""

    id: str
    step: str
    outputs: tuple[str, ...]
    key: str | None = None
    moves: tuple[Move, ...] = ()


class Rescued(NamedTuple):
    """A file that nobody could have made again; it now lies at `kept` (a full path)."""

    path: str
    kept: str


class Workspace:
    """Outputs below `root`; what is moved out of the way goes below `machine` (`$GIT_DIR/gitml`)."""

    def __init__(self, root: str, machine: str, *, store: Store, cache: StatCache, git: GitForm) -> None:
        self.root = root
        self.machine = machine
        self._store = store
        self._cache = cache
        self._git = git

    def entry(self, path: str, witness: Witness | None = None) -> Entry | None:
        """Digest an output as it stands; None when it is missing."""
        sink = DigestSink(git=self._git, cache=self._cache, witness={} if witness is None else witness, keep_junk=True)
        return walk(self.root, path, sink)

    def compare(self, recorded: Mapping[str, Entry], witness: Witness | None = None) -> dict[str, OutputState]:
        """Compare outputs with their record."""
        states = {}
        for path, entry in recorded.items():
            found = self.entry(path, witness)
            same = found is not None and (found.kind, found.digest) == (entry.kind, entry.digest)
            states[path] = OutputState.SAME if same else OutputState.MISSING if found is None else OutputState.CHANGED
        return states

    def ingest(self, output: Output) -> Entry | None:
        """Put an output into the store (or only digest it, where it is declared uncached); None when missing."""
        if not output.cache:
            return self.entry(output.path)
        return walk(self.root, output.path, StoringSink(git=self._git, cache=self._cache, store=self._store))

    def ingest_source(self, path: str, *, meter: Meter) -> Entry | None:
        """Put a source into the store as an input is digested, without junk; None when nothing stands there."""
        sink = StoringSink(git=self._git, cache=self._cache, store=self._store, meter=meter, keep_junk=False)
        return walk(self.root, path, sink)

    def set_aside(self, intent: Inflight, elsewhere: Mapping[str, Entry]) -> Inflight:
        """Rename what stands at the outputs of `intent` out of the way, after writing down that it will be.

        `elsewhere`: recorded outputs that the store is not asked for, because Git has them or they are declared to be
        kept nowhere. All others are dropped at the end only if the store has them.
        """
        moves: list[Move] = []
        for path in intent.outputs:
            found = self.entry(path)
            if found is not None:
                proven = elsewhere.get(path) == found or self._store.holds({path: found})
                moves.append(Move(path, self._aside(intent.id, path, len(moves)), proven, found))
        inflight = intent._replace(moves=tuple(moves))
        if moves:
            self._write(inflight)
        try:
            for move in moves:
                with parent_of(self.root, move.path) as (parent, name):
                    os.rename(name, move.aside, src_dir_fd=parent)
        except BaseException:
            self.roll_back(inflight)
            raise
        return inflight

    def commit(self, inflight: Inflight) -> list[Rescued]:
        """Drop what was set aside where its bytes can be had again, rescue the rest, and forget the execution.

        An output that was nobody's before may be just what the step made now: then the store has its bytes.
        """
        rescued = []
        for move in inflight.moves:
            if os.path.lexists(move.aside):
                if move.proven or self._store.holds({move.path: move.entry}):
                    remove_path(move.aside)
                else:
                    rescued.append(Rescued(move.path, self._keep("rescued", inflight.id, move.path, move.aside)))
        self._forget(inflight)
        return rescued

    def roll_back(self, inflight: Inflight) -> str | None:
        """Keep partial outputs in `failed/<step>` and bring the previous ones back.

        Gives the folder with the partial outputs, or None when there were none.
        """
        previous = {move.path: move for move in inflight.moves}
        partial = []
        for path in inflight.outputs:
            move = previous.get(path)
            brought_back = move is not None and not os.path.lexists(move.aside)
            if not brought_back and os.path.lexists(os.path.join(self.root, path)):
                partial.append(path)
        kept = self._keep_partial(inflight, partial)
        for move in inflight.moves:
            if os.path.lexists(move.aside):
                with parent_of(self.root, move.path, create=True) as (parent, name):
                    os.rename(move.aside, name, dst_dir_fd=parent)
        self._forget(inflight)
        return kept

    def _keep_partial(self, inflight: Inflight, paths: list[str]) -> str | None:
        """Move what an execution left to `failed/<step>`; what a restore left is in the store and is dropped."""
        if not paths:
            return None
        if inflight.key is None:
            self._drop_restored(inflight, paths)
            return None
        failed = self.failed_folder(inflight.step)
        if self._failed_id(inflight.step) != inflight.id:
            remove_path(failed)
            about = {"key": inflight.key, "run": inflight.id}
            write_atomically(failed + ".json", json.dumps(about).encode(), tmp=os.path.join(self.machine, "tmp"))
        for path in paths:
            target = os.path.join(failed, path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            _move(os.path.join(self.root, path), target)
        return failed

    def _drop_restored(self, inflight: Inflight, paths: list[str]) -> None:
        """Drop what a restore left; what somebody wrote there since, and the store has not, is rescued."""
        for path in paths:
            found = self.entry(path)
            if found is not None and not self._store.holds({path: found}):
                self._keep("rescued", inflight.id, path, os.path.join(self.root, path))
            else:
                self.discard([path])

    def discard(self, paths: Iterable[str]) -> None:
        """Delete outputs that an attempt has left."""
        for path in paths:
            with parent_of(self.root, path, create=True) as (parent, name):
                remove(parent, name)

    def hand_over(self, step: str, key: str, paths: Iterable[str]) -> None:
        """Copy to `paths` what the last failed execution of the same key left there; never across keys."""
        if self._failed_about(step).get("key") != key:
            return
        for path in paths:
            left = os.path.join(self.failed_folder(step), path)
            full = os.path.join(self.root, path)
            if os.path.isdir(left) and not os.path.islink(left):
                shutil.copytree(left, full, symlinks=True, copy_function=self._own_copy)
                for folder, _, names in os.walk(full):
                    for link in (os.path.join(folder, name) for name in names):
                        self._own_bytes(link)
            elif os.path.lexists(left):
                self._own_copy(left, full)
                self._own_bytes(full)

    def _own_copy(self, source: str, target: str) -> None:
        """Copy a file so that it may be written, or a link."""
        shutil.copy2(source, target, follow_symlinks=False)
        if not os.path.islink(target):
            os.chmod(target, os.stat(target).st_mode | stat.S_IWUSR)

    def _own_bytes(self, path: str) -> None:
        """Put a copy in the place of a link into the store: no step may write through it."""
        if os.path.islink(path) and self._cache.folders.linked(os.readlink(os.fsencode(path))) is not None:
            source = os.path.realpath(path)
            os.unlink(path)
            self._own_copy(source, path)

    def _failed_about(self, step: str) -> dict[str, object]:
        try:
            with open(self.failed_folder(step) + ".json", "rb") as file:
                found = json.loads(file.read())
        except (FileNotFoundError, ValueError):  # it is not synced: a power cut may leave it empty
            return {}
        return found if isinstance(found, dict) else {}

    def _failed_id(self, step: str) -> object:
        return self._failed_about(step).get("run")

    def restore(self, outputs: Mapping[str, Entry]) -> None:
        """Write stored outputs to their paths, where nothing stands, and remember them in the stat cache."""
        building = Building(self._store.objects, self._store.links, SILENT)
        for path, entry in outputs.items():
            self.remember(materialise(building, entry, self.root, path))

    def remember(self, written: Sequence[Written]) -> None:
        """Let the stat cache know folders that were written just now."""
        if written:
            remember_written(self._cache.folders, written, is_junk=is_junk)

    def make_parents(self, outputs: Iterable[Output]) -> None:
        """Make the folders that a step's outputs will stand in."""
        for output in outputs:
            with parent_of(self.root, output.path, create=True):
                pass

    def inflight(self) -> list[Inflight]:
        """List executions that were not finished, here, by this process or by ones that died."""
        folder = os.path.join(self.machine, "inflight")
        try:
            names = sorted(os.listdir(folder))
        except FileNotFoundError:
            return []
        found = (self.read_inflight(name.removesuffix(".json")) for name in names if name.endswith(".json"))
        return [inflight for inflight in found if inflight is not None]

    def read_inflight(self, run_id: str) -> Inflight | None:
        """Read what an execution wrote down; None when it is finished.

        Raises:
            DamagedError: The journal cannot be read; what it speaks of stays where it is.
        """
        path = self._journal(run_id)
        try:
            with open(path, "rb") as file:
                return _inflight(run_id, json.loads(file.read()))
        except FileNotFoundError:
            return None
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedError(
                f"{path} cannot be read, and it says where outputs were put",
                hint=f"look into {os.path.join(self.machine, 'aside')} for them, then delete the file",
            ) from error

    def failed_folder(self, step: str) -> str:
        """Tell where a step's last partial outputs are kept."""
        return os.path.join(self.machine, "failed", _folder_name(step))

    def _aside(self, run_id: str, path: str, number: int) -> str:
        """Choose a place in the same file system: below `machine`, else beside the output."""
        folder = os.path.join(self.machine, "aside")
        os.makedirs(folder, exist_ok=True)
        full = os.path.join(self.root, path)
        if os.lstat(full).st_dev == os.stat(folder).st_dev:
            return os.path.join(folder, f"{run_id}-{number}")
        return os.path.join(os.path.dirname(full), f".gitml-{run_id}-{number}")

    def rescue_place(self, run_id: str, path: str) -> str:
        """Tell where a file that only stood in the worktree is put."""
        return os.path.join(self.machine, "rescued", run_id, path)

    def _keep(self, kind: str, run_id: str, path: str, source: str) -> str:
        target = os.path.join(self.machine, kind, run_id, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        _move(source, target)
        return target

    def _write(self, inflight: Inflight) -> None:
        moves = [[move.path, move.aside, move.proven, entry_to_json(move.entry)] for move in inflight.moves]
        data = {"step": inflight.step, "outputs": inflight.outputs, "key": inflight.key, "moves": moves}
        tmp = os.path.join(self.machine, "tmp")
        write_atomically(self._journal(inflight.id), json.dumps(data).encode(), tmp=tmp, sync=True)

    def _forget(self, inflight: Inflight) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._journal(inflight.id))

    def _journal(self, run_id: str) -> str:
        return os.path.join(self.machine, "inflight", run_id + ".json")


def _inflight(run_id: str, data: dict[str, Any]) -> Inflight:
    return Inflight(
        id=run_id,
        step=data["step"],
        outputs=tuple(data["outputs"]),
        key=data["key"],
        moves=tuple(
            Move(path, aside, proven, entry_from_json(path, entry)) for path, aside, proven, entry in data["moves"]
        ),
    )


def _folder_name(step: str) -> str:
    plain = "".join(c if c.isalnum() or c in "_-=,+@" else "_" for c in step)
    return plain if plain == step and len(plain) < 120 else f"{plain[:100]}~{digest_bytes(step.encode()).hex[:12]}"


def _move(source: str, target: str) -> None:
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.move(source, target)
