"""Prove the cache whole; of what cannot be had, say who needs it and how to get it back, or get it back."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from gitml.errors import GitmlError
from gitml.hashing.meter import SILENT, Meter
from gitml.model.digest import Digest
from gitml.model.tree import Kind
from gitml.project.needs import Holder, Need, holders, needs
from gitml.project.project import Project
from gitml.project.repair import restore_from_worktree, shares
from gitml.store.lack import Lacks
from gitml.store.rehash import Fault
from gitml.store.store import Store
from gitml.store.verify import Checked, Finding, Sample, check, still_wrong


@dataclass(frozen=True, kw_only=True, slots=True)
class Loss:
    """An object that cannot be had, or could not.

    `finding`: what was wrong with it, None of one that was missing already. `kept`: the file that the wrong bytes were
    moved to. `needs`: who needs it, those on disk first. `shared`: worktree files that are that very file. `restored`:
    where good bytes were found.
    """

    digest: Digest
    finding: Finding | None = None
    kept: str | None = None
    needs: tuple[Need, ...] = ()
    shared: tuple[str, ...] = ()
    restored: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What was looked at, and what is lost. `unread`: why it is not known who needs what."""

    checked: Checked
    damaged: tuple[Loss, ...]
    missing: tuple[Loss, ...]
    unread: GitmlError | None = None

    @property
    def whole(self) -> bool:
        """Tell whether nothing was damaged, or all that was is made good."""
        return all(loss.restored is not None for loss in self.damaged)


def verify(project: Project, *, sample: Sample | None = None, repair: bool = False, meter: Meter = SILENT) -> Report:
    """Hash the objects again, or a sample of them, and move what is damaged out of the way.

    Without a sample, what locks and sources name and the store does not have is named as well. With `repair`, both are
    put back where a worktree has their bytes.
    """
    objects = project.store.objects
    checked = check(objects, sample=sample, meter=meter)
    wrong = [finding for finding in checked.findings if finding.fault is not Fault.STRAY]
    if not wrong and sample is not None:
        return Report(checked=checked, damaged=(), missing=())
    kept = _put_aside(project.store, wrong)
    search = _Search(project, frozenset(kept))
    restored = search.repair() if repair else {}
    damaged = tuple(
        Loss(
            digest=finding.digest,
            finding=finding,
            kept=kept[finding.digest],
            needs=search.needs(finding.digest),
            shared=search.shared(finding.digest, kept[finding.digest]),
            restored=restored.get(finding.digest),
        )
        for finding in wrong
        if finding.digest is not None
    )
    missing = tuple(
        Loss(digest=digest, needs=search.needs(digest), restored=restored.get(digest))
        for digest in (search.missed() if sample is None else ())
    )
    return Report(checked=checked, damaged=damaged, missing=missing, unread=search.unread)


def _put_aside(store: Store, wrong: Iterable[Finding]) -> dict[Digest, str | None]:
    """Quarantine what is still wrong at a second look; gives where its bytes are. What cannot be read stays."""
    kept: dict[Digest, str | None] = {}
    for finding in wrong:
        if finding.digest is not None:
            kept[finding.digest] = None
    movable = [f.digest for f in wrong if f.digest is not None and f.fault is not Fault.UNREADABLE]
    if movable:
        with store.lease.writing():
            for digest in movable:
                if still_wrong(store.objects, digest):
                    store.objects.quarantine(digest)
                    target = os.path.join(store.objects.root, "quarantine", digest.hex)
                    kept[digest] = target if os.path.lexists(target) else None
    return kept


class _Search:
    """Finds who needs what is lost, and good copies of it. `unread`: why not all that may need something was read."""

    def __init__(self, project: Project, lost: frozenset[Digest]) -> None:
        self._project = project
        self._objects = project.store.objects
        self._lost = lost
        self._holders: list[Holder] = []
        self.unread: GitmlError | None = None
        try:
            self._holders.extend(holders(project))
        except GitmlError as error:
            self.unread = error
        self._found = self._look(frozenset())

    def needs(self, digest: Digest) -> tuple[Need, ...]:
        """Give who needs an object."""
        return tuple(self._found.get(digest, ()))

    def missed(self) -> list[Digest]:
        """Name what was missing before anything was moved, and should not be."""
        stored = self._stored()
        return [
            digest
            for digest, wanted in self._found.items()
            if digest not in self._lost and any(self._should_have(need, stored) for need in wanted)
        ]

    def shared(self, digest: Digest, kept: str | None) -> tuple[str, ...]:
        """Name the worktree files that are the damaged file itself."""
        if kept is None:
            return ()
        paths = (shares(self._objects, need, kept) for need in self.needs(digest))
        return tuple(dict.fromkeys(path for path in paths if path is not None))

    def repair(self) -> dict[Digest, str]:
        """Put back what can be found; a folder that is had again tells what else is lacking."""
        restored: dict[Digest, str] = {}
        with self._project.store.lease.writing():
            while True:
                fresh = {digest: self._copy(digest) for digest in self._found if digest not in restored}
                restored.update({digest: path for digest, path in fresh.items() if path is not None})
                folders = any(path is not None and self._is_folder(digest) for digest, path in fresh.items())
                if not folders:
                    return restored
                for digest, wanted in self._look(frozenset(restored)).items():
                    self._found.setdefault(digest, wanted)

    def _copy(self, digest: Digest) -> str | None:
        paths = (restore_from_worktree(self._objects, need) for need in self._found[digest])
        return next((path for path in paths if path is not None), None)

    def _is_folder(self, digest: Digest) -> bool:
        return self._found[digest][0].lack.kind is Kind.DIRECTORY

    def _look(self, restored: frozenset[Digest]) -> dict[Digest, list[Need]]:
        lacks = Lacks(self._objects, self._lost - restored)
        found: dict[Digest, list[Need]] = {}
        for holder in self._holders:
            for need in needs(holder, lacks.of):
                found.setdefault(need.lack.digest, []).append(need)
        return found

    def _stored(self) -> frozenset[str]:
        """Name the outputs of this project that its store should have."""
        try:
            steps = self._project.pipeline().steps.values()
        except GitmlError as error:
            self.unread = self.unread or error
            return frozenset()
        return frozenset(output.path for step in steps for output in step.outputs if output.cache and not output.git)

    def _should_have(self, need: Need, stored: frozenset[str]) -> bool:
        """Tell whether a lack is a loss: a clone has locks without any data, and outputs may live in Git alone.

        It is one where the rest of the folder is there, and for what stands recorded in this worktree.
        """
        holder = need.holder
        if holder.is_run:
            return False
        return bool(need.lack.path) or (
            holder.base == self._project.root and (holder.pointer is not None or need.output in stored)
        )
