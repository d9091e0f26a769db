"""Prove the cache whole, and say of what is damaged who needs it and how to get it back."""

from __future__ import annotations

import os
from dataclasses import dataclass

from gitml.hashing.meter import SILENT, Meter
from gitml.project.project import Project
from gitml.store.objects import ObjectStore
from gitml.store.rehash import Fault
from gitml.store.verify import Checked, Finding, Sample, check, still_wrong


@dataclass(frozen=True, kw_only=True, slots=True)
class Damage:
    """Something in the cache that is wrong; `kept`: the file that the wrong bytes were moved to (a full path)."""

    finding: Finding
    kept: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What was looked at, and what is wrong."""

    checked: Checked
    damaged: tuple[Damage, ...]

    @property
    def whole(self) -> bool:
        """Tell whether all that was looked at can be had."""
        return not self.damaged


def verify(project: Project, *, sample: Sample | None = None, repair: bool = False, meter: Meter = SILENT) -> Report:
    """Hash the objects again, or a sample of them, and move what is damaged out of the way."""
    objects = project.store.objects
    checked = check(objects, sample=sample, meter=meter)
    wrong = [finding for finding in checked.findings if finding.fault is not Fault.STRAY]
    damaged = []
    if wrong:
        with project.store.lease.writing():
            damaged = [Damage(finding=finding, kept=_put_aside(objects, finding)) for finding in wrong]
    return Report(checked=checked, damaged=tuple(damaged))


def _put_aside(objects: ObjectStore, finding: Finding) -> str | None:
    """Quarantine an object that is still wrong at a second look; what cannot be read may only lack permission."""
    digest = finding.digest
    if digest is None or finding.fault is Fault.UNREADABLE or not still_wrong(objects, digest):
        return None
    objects.quarantine(digest)
    kept = os.path.join(objects.root, "quarantine", digest.hex)
    return kept if os.path.lexists(kept) else None
