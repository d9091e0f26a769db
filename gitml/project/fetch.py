"""Bring one declared source from where it is published: into the store, to its path, and into its pointer.

Crash story: the bytes go into the store first, then to the path, then the pointer is written. Killed in between, the
path has what the store has too, so the next `gitml update` replaces or records it without asking.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from shlex import quote
from typing import NamedTuple

from gitml.engine.recovery import new_run_id
from gitml.engine.sources import Known
from gitml.engine.workspace import Inflight, Rescued
from gitml.engine.world import World
from gitml.errors import GitmlError, UsageError
from gitml.hashing.meter import Meter
from gitml.model.digest import Digest
from gitml.model.path import is_within
from gitml.model.pipeline import Pipeline
from gitml.model.source import Pointer, SourceDeclaration
from gitml.model.tree import Entry, Kind
from gitml.project.project import Project
from gitml.project.record import store_source, write_pointer
from gitml.project.sources import sources_of
from gitml.remote.download import Downloaded, OtherContentError, Patience, Wanted, download
from gitml.remote.error import WrongDigestError
from gitml.remote.protocol import Fetchers
from gitml.remote.published import check_bytes, check_published
from gitml.store.incoming import Incoming, receiving

_VERIFIED = "published"


class Fetched(NamedTuple):
    """What became of a source: `new`, `newer` or `unchanged`. `restored`: it was missing or differed here."""

    path: str
    url: str
    state: str
    entry: Entry
    restored: bool = False
    rescued: tuple[Rescued, ...] = ()


class Fetching:
    """Fetches sources of one project; takes the lease when bytes have come, so that no collector waits for a server."""

    def __init__(self, project: Project, world: World, meter: Meter) -> None:
        self._project = project
        self._world = world
        self._meter = meter
        self._fetchers = Fetchers(project.environ)
        self._held = world.look().held

    def update(self, source: SourceDeclaration, known: Known, *, force: bool) -> Fetched:
        """Fetch what the server has, unless it is what is recorded.

        Raises:
            UsageError: What stands at the path is Git's, another source's, or (without `force`) unsaved.
            RemoteError: It cannot be had.
            WrongDigestError: It is not what its publisher says.
        """
        with self._claimed(source.path):
            before = known.pointers.get(source.path)
            found = self._standing(source, known, before, force=force)
            adopted = self._adopted(source, before, found, force=force)
            if adopted is not None:
                return adopted
            with receiving(self._project.store.objects) as incoming:
                came = self._download(source, before, found, incoming)
                with self._project.store.lease.writing():
                    pointer = self._published(source, before, incoming, came)
                    self._check_expected(source, pointer.entry, found)
                    rescued = self._place(source.path, pointer.entry, found, before)
                    if pointer != before:
                        write_pointer(self._project, self._world.pipeline, pointer)
        state = "new" if before is None else "unchanged" if pointer.entry == before.entry else "newer"
        restored = state == "unchanged" and (found is None or found.digest != pointer.entry.digest)
        return Fetched(source.path, source.url, state, pointer.entry, restored, rescued)

    def bring(self, source: SourceDeclaration, known: Known) -> Fetched:
        """Fetch a source of which nothing stands at its path: what its pointer names, and nothing else.

        Raises:
            OtherContentError: The server has something else by now.
            GitmlError: As `update`.
        """
        before = known.pointers.get(source.path)
        if before is None:
            return self.update(source, known, force=False)
        with self._claimed(source.path):
            self._standing(source, known, before, force=False)
            if not self._project.store.holds({source.path: before.entry}):
                self.receive(source, before)
            with self._project.store.lease.writing():
                self._check_expected(source, before.entry, None)
                self._place(source.path, before.entry, None, before)
        return Fetched(source.path, source.url, "unchanged", before.entry, restored=True)

    def receive(self, source: SourceDeclaration, recorded: Pointer) -> None:
        """Put what a pointer names into the store, and nothing else; the worktree and the pointer stay as they are.

        Raises:
            OtherContentError: The server has something else by now.
            RemoteError: It cannot be had.
        """
        wanted = Wanted(source.path, source.url, only=(recorded.entry.digest, recorded.entry.size))
        with receiving(self._project.store.objects) as incoming:
            try:
                download(self._fetchers.at(source.url), wanted, incoming.descriptor, self._meter, Patience())
            except OtherContentError as error:
                error.hint = f"gitml update {quote(source.path)} takes what is there now"
                raise
            with self._project.store.lease.writing():
                incoming.publish(recorded.entry.digest, recorded.entry.size)

    def look(self, source: SourceDeclaration, known: Known) -> str:
        """Ask what the server has: `new`, `newer`, `unchanged`, or `unknown` where only the bytes could tell."""
        before = known.pointers.get(source.path)
        if before is None:
            return "new"
        if before.url != source.url:
            return "newer"
        if before.etag is None and self._is_pinned(source, before.entry):
            return "unchanged"
        with self._fetchers.at(source.url).ask(before.etag) as answer:
            if answer is None:
                return "unchanged"
            size = answer.version.size
            return "newer" if answer.version.tag is not None or size not in (None, before.entry.size) else "unknown"

    def _standing(
        self, source: SourceDeclaration, known: Known, before: Pointer | None, *, force: bool
    ) -> Entry | None:
        """Digest what stands at the path; refuse what must not be replaced."""
        path = source.path
        if self._held.is_held(path) or self._held.is_dir(path):
            raise UsageError(
                f"{path} is tracked by Git, and each path has one owner", hint=f"git rm -r --cached {path}"
            )
        for other in known.pointers:
            if other != path and (is_within(path, other) or is_within(other, path)):
                raise UsageError(f"{path} overlaps {other}, a source of its own", hint=f"gitml rm {other}")
        found = self._world.workspace.entry(path)
        recorded = before is not None and found is not None and found.digest == before.entry.digest
        if found is None or recorded or force or self._project.store.holds({path: found}):
            return found
        if before is None and source.expected and found.kind is not Kind.DIRECTORY:
            return found  # whether it is what the publisher says is seen next
        raise _unsaved(path)

    def _adopted(
        self, source: SourceDeclaration, before: Pointer | None, found: Entry | None, *, force: bool
    ) -> Fetched | None:
        """Record a file that is here already, without a download, if it has the digests that its publisher gives."""
        if before is not None or found is None or not source.expected or found.kind is Kind.DIRECTORY:
            return None
        try:
            check_published(self._full(source), source.url, found.digest, source.expected)
        except WrongDigestError:
            if force or self._project.store.holds({source.path: found}):
                return None
            raise _unsaved(source.path) from None
        with self._project.store.lease.writing():
            entry = store_source(self._world.workspace, source.path, self._meter)
            write_pointer(self._project, self._world.pipeline, Pointer(path=source.path, entry=entry, url=source.url))
        self._remember(source, entry.digest)
        return Fetched(source.path, source.url, "new", entry)

    def _download(
        self, source: SourceDeclaration, before: Pointer | None, found: Entry | None, incoming: Incoming
    ) -> Downloaded | None:
        """Receive what the server has; None: it is what is recorded, or nothing else would be accepted."""
        known = None
        if before is not None and before.url == source.url and self._is_here(before, found):
            if before.etag is None and self._is_pinned(source, before.entry):
                return None
            known = before.etag
        wanted = Wanted(source.path, source.url, known, source.expected)
        return download(self._fetchers.at(source.url), wanted, incoming.descriptor, self._meter, Patience())

    def _published(
        self, source: SourceDeclaration, before: Pointer | None, incoming: Incoming, came: Downloaded | None
    ) -> Pointer:
        """Put what came into the store; gives what is to be recorded."""
        if came is None:
            assert before is not None  # nothing is known of a source that was never recorded
            return before
        incoming.publish(came.digest, came.size)
        self._remember(source, came.digest)
        entry = Entry(Kind.FILE, came.digest, came.size)
        if before is not None and before.entry.digest == entry.digest:
            entry = before.entry  # made executable here, say
        return Pointer(path=source.path, entry=entry, url=source.url, etag=came.tag)

    def _place(self, path: str, entry: Entry, found: Entry | None, before: Pointer | None) -> tuple[Rescued, ...]:
        """Put stored bytes to their path; what stood there is dropped if it can be had again, else kept aside."""
        if found is not None and found.digest == entry.digest:
            return ()
        workspace = self._world.workspace
        if found is not None and before is not None and found.digest == before.entry.digest:
            store_source(workspace, path, self._meter)  # the server may not have that version any more
        inflight = workspace.set_aside(Inflight(id=new_run_id(), step="", outputs=(path,)), {})
        try:
            workspace.restore({path: entry})
        except BaseException:
            workspace.roll_back(inflight)
            raise
        return tuple(workspace.commit(inflight))

    def _is_here(self, before: Pointer, found: Entry | None) -> bool:
        """Tell whether the recorded bytes need not be fetched."""
        stands = found is not None and found.digest == before.entry.digest
        return stands or self._project.store.holds({before.path: before.entry})

    def _check_expected(self, source: SourceDeclaration, entry: Entry, found: Entry | None) -> None:
        """Check what is recorded, and is here or in the store, against the declared digests; some may be new."""
        if not source.expected or self._is_pinned(source, entry):
            return
        objects = self._project.store.objects
        if found is not None and found.digest == entry.digest:
            check_published(self._full(source), source.url, entry.digest, source.expected)
        elif os.path.lexists(objects.path(entry.digest)):
            check_published(objects.path(entry.digest), source.url, entry.digest, source.expected)
        else:
            check_bytes(objects.read(entry.digest), source.url, entry.digest, source.expected)  # small: it is in a pack
        self._remember(source, entry.digest)

    def _is_pinned(self, source: SourceDeclaration, entry: Entry) -> bool:
        """Tell whether content is known to have all declared digests, of which there is one at least."""
        return bool(source.expected) and self._project.database.memo(_VERIFIED, _mark(source, entry.digest)) is not None

    def _remember(self, source: SourceDeclaration, digest: Digest) -> None:
        if source.expected:
            self._project.database.store_memos(_VERIFIED, {_mark(source, digest): b"1"})

    def _full(self, source: SourceDeclaration) -> str:
        return os.path.join(self._project.root, source.path)

    @contextlib.contextmanager
    def _claimed(self, path: str) -> Iterator[None]:
        """Keep others from touching the path; the claim falls with this process."""
        name = f"{self._world.root}\0{path}"
        claim = self._world.paths.attempt(name)
        if claim is None:
            raise GitmlError(f"{path} is being worked on by another gitml", hint="wait for it to end")
        try:
            yield
        finally:
            claim.release()


def fetch_missing(project: Project, pipeline: Pipeline, paths: Iterable[str], meter: Meter) -> list[Fetched]:
    """Bring the declared sources among `paths` of which nothing stands there; what is recorded stays recorded.

    One that has a pointer gets what that names, from the store or the server; one that has none is fetched anew.

    Raises:
        OtherContentError: The server no longer has what the pointer names.
        RemoteError: It cannot be had.
        WrongDigestError: It is not what its publisher says.
    """
    full = {path: os.path.join(project.root, path) for path in paths if path in pipeline.sources}
    missing = [pipeline.sources[path] for path in full if not os.path.lexists(full[path])]
    if not missing:
        return []
    fetching = Fetching(project, project.world(pipeline, acting=False), meter)
    known = sources_of(project).known()
    return [fetching.bring(source, known) for source in missing]


def fetch_recorded(project: Project, pipeline: Pipeline, pointer: Pointer, meter: Meter) -> bool:
    """Put what a pointer names into the store, from where it is published; False where no URL is declared for it.

    Raises:
        OtherContentError: The server no longer has it.
        RemoteError: It cannot be had.
    """
    source = pipeline.sources.get(pointer.path)
    if source is None:
        return False
    Fetching(project, project.world(pipeline, acting=False), meter).receive(source, pointer)
    return True


def _mark(source: SourceDeclaration, digest: Digest) -> bytes:
    return " ".join([digest, *(f"{name}:{digits}" for name, digits in source.expected)]).encode()


def _unsaved(path: str) -> UsageError:
    hint = f"gitml add {quote(path)} records them; --force keeps them aside"
    return UsageError(f"{path} has changes that are recorded nowhere", hint=hint)
