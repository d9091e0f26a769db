"""Prove the cache whole; of what cannot be had, say who needs it and how to get it back, or get it back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

from gitml.errors import GitmlError
from gitml.hashing.meter import SILENT, Meter
from gitml.model.digest import Digest
from gitml.model.tree import Kind
from gitml.project.needs import Holder, Need, everywhere, holders, needs
from gitml.project.project import Project
from gitml.project.repair import restore_from_url, restore_from_worktree, shares
from gitml.store.lack import Lacks
from gitml.store.rehash import Fault
from gitml.store.store import Store
from gitml.store.verify import Checked, Finding, Sample, check, put_aside, was_put_aside


@dataclass(frozen=True, kw_only=True, slots=True)
class Loss:
    """An object that cannot be had, or could not; or a pack that is wrong as a whole (`digest` is None).

    `finding`: what was wrong with it, None of one that was missing already. `kept`: the file that the wrong bytes were
    moved to. `needs`: who needs it, those on disk first. `shared`: worktree files that are that very file. `restored`:
    where good bytes were found, in a worktree or elsewhere in the cache.
    """

    digest: Digest | None
    finding: Finding | None = None
    kept: str | None = None
    needs: tuple[Need, ...] = ()
    shared: tuple[str, ...] = ()
    restored: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What was looked at, and what is lost.

    `unread`: why it is not known who needs what. `refused`: why sources could not be downloaded again.
    """

    checked: Checked
    damaged: tuple[Loss, ...]
    missing: tuple[Loss, ...]
    unread: GitmlError | None = None
    refused: tuple[GitmlError, ...] = ()

    @property
    def whole(self) -> bool:
        """Tell whether nothing was damaged, or all that was is made good."""
        return all(loss.restored is not None for loss in self.damaged)


def verify(project: Project, *, sample: Sample | None = None, repair: bool = False, meter: Meter = SILENT) -> Report:
    """Hash the objects again, or a sample of them, and move what is damaged out of the way.

    Without a sample, what locks and sources name and the store does not have is named as well. With `repair`, both are
    put back where a worktree, or the publisher of a source, has their bytes.
    """
    checked = check(project.store.objects, sample=sample, meter=meter)
    wrong = [finding for finding in checked.findings if finding.fault is not Fault.STRAY]
    if not wrong and sample is not None:
        return Report(checked=checked, damaged=(), missing=())
    kept = _put_aside(project.store, wrong)
    search = _Search(project, {f.digest for f in wrong if f.digest is not None and f.fault is Fault.UNREADABLE})
    if repair:
        search.repair(meter)
    missed = search.missed({finding.digest for finding in wrong}) if sample is None else []
    needed = search.needs([*(finding.digest for finding in wrong if finding.digest is not None), *missed])
    damaged = tuple(
        Loss(
            digest=finding.digest,
            finding=finding,
            kept=kept[finding],
            needs=needed.get(finding.digest, ()),
            shared=search.shared(finding.digest, kept[finding]),
            restored=search.restored.get(finding.digest) or _another(project.store, finding),
        )
        for finding in wrong
    )
    missing = tuple(
        Loss(digest=digest, needs=needed[digest], restored=search.restored.get(digest)) for digest in missed
    )
    return Report(
        checked=checked, damaged=damaged, missing=missing, unread=search.unread, refused=tuple(search.refused)
    )


def _put_aside(store: Store, wrong: Sequence[Finding]) -> dict[Finding, str | None]:
    """Quarantine what is wrong; gives where its bytes are."""
    if not wrong:
        return {}
    with store.lease.writing():
        return {finding: put_aside(store.objects, finding) for finding in wrong}


def _another(store: Store, finding: Finding) -> str | None:
    """Tell where the cache has the object as well: in a pack, or put there by somebody meanwhile."""
    if finding.digest is None or finding.fault is Fault.UNREADABLE:
        return None
    place = store.objects.locate(finding.digest)
    return None if place is None else place.path


class _Search:
    """Finds who needs what is lost, and good copies of it.

    `restored`: where those were. `unread`: why not all that may need something was read. `refused`: what went
    wrong with downloads.
    """

    def __init__(self, project: Project, unreadable: Set[Digest]) -> None:
        self._project = project
        self._objects = project.store.objects
        self._unreadable = unreadable
        self._holders: list[Holder] = []
        self.restored: dict[Digest | None, str] = {}
        self.unread: GitmlError | None = None
        self.refused: list[GitmlError] = []
        try:
            self._holders.extend(holders(project))
        except GitmlError as error:
            self.unread = error
        self._found = self._look()

    def needs(self, digests: Iterable[Digest]) -> dict[Digest | None, tuple[Need, ...]]:
        """Give who needs these objects, at every ref."""
        grouped: dict[Digest | None, list[Need]] = {digest: [] for digest in digests}
        for need in everywhere(need for digest in grouped if digest for need in self._found.get(digest, ())):
            grouped[need.lack.digest].append(need)
        return {digest: tuple(found) for digest, found in grouped.items()}

    def missed(self, wrong: Set[Digest | None]) -> list[Digest]:
        """Name what cannot be had and should, beside what was found to be wrong."""
        stored = self._stored()
        return [
            digest
            for digest, wanted in self._found.items()
            if digest not in wrong and any(self._should_have(need, stored) for need in wanted)
        ]

    def shared(self, digest: Digest | None, kept: str | None) -> tuple[str, ...]:
        """Name the worktree files that are the damaged file itself."""
        if digest is None or kept is None:
            return ()
        paths = (shares(self._objects, need, kept) for need in self._found.get(digest, ()))
        return tuple(dict.fromkeys(path for path in paths if path is not None))

    def repair(self, meter: Meter) -> None:
        """Put back what worktrees have, then download what was damaged: not what never was here, as in a clone."""
        self._repair_from_worktrees()
        damaged = was_put_aside(self._objects)
        for digest in self._lacking():
            if digest not in damaged:
                continue
            for need in self._found[digest]:
                try:
                    url = restore_from_url(self._project, need, meter)
                except GitmlError as error:
                    self.refused.append(error)
                    break
                if url is not None:
                    self.restored[digest] = url
                    break

    def _repair_from_worktrees(self) -> None:
        """Put back what worktrees have; a folder that is had again tells what else is lacking."""
        with self._project.store.lease.writing():
            while True:
                fresh = [digest for digest in self._lacking() if self._restore(digest)]
                if not any(self._is_folder(digest) for digest in fresh):
                    return
                for digest, wanted in self._look().items():
                    self._found.setdefault(digest, wanted)

    def _lacking(self) -> list[Digest]:
        return [digest for digest in self._found if digest not in self.restored and digest not in self._unreadable]

    def _restore(self, digest: Digest) -> bool:
        for need in self._found[digest]:
            path = restore_from_worktree(self._objects, need)
            if path is not None:
                self.restored[digest] = path
                return True
        return False

    def _is_folder(self, digest: Digest) -> bool:
        return self._found[digest][0].lack.kind is Kind.DIRECTORY

    def _look(self) -> dict[Digest, list[Need]]:
        lacks = Lacks(self._objects, self._unreadable)
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
