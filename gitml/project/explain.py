"""Why a step is what it is: its recipe, part by part, against the lock and against the nearest earlier run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gitml.engine.code import Discovery, Imported
from gitml.engine.decide import staleness
from gitml.engine.judge import Judgement
from gitml.engine.reasons import compare_parts
from gitml.model.decision import OutputChanged, PartAdded, PartChanged, Reason
from gitml.model.digest import Digest
from gitml.model.lock import LockEntry
from gitml.model.run import Run
from gitml.model.tree import Kind
from gitml.project.examine import Examined, examine
from gitml.project.project import Project
from gitml.project.row import Row
from gitml.project.status import row_of
from gitml.project.treediff import FolderChanges
from gitml.project.trees import Trees


@dataclass(frozen=True, kw_only=True, slots=True)
class Detail:
    """One reason with what is known beyond it.

    `via`: through which import, or why else, the code file belongs to the step, up to what the command starts.
    `changes`: the files of a folder; None where it is no folder or its record is gone. `was_folder` tells these apart.
    """

    reason: Reason
    via: tuple[str, ...] = ()
    changes: FolderChanges | None = None
    was_folder: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Nearest:
    """The run whose recipe differs from the step's in the fewest parts, and those parts."""

    run: Run
    details: tuple[Detail, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """All that is known of why a step is fresh, stale or unknown.

    `details`: the differences from the lock. `recorded`: the run that made what the lock names, if it is known here.
    `nearest`: None for a fresh step and where no run could have served. `parts`: the recipe as observed, without inputs
    that wait for an upstream step.
    """

    row: Row
    key: Digest
    parts: Mapping[str, object]
    details: tuple[Detail, ...]
    lock: LockEntry | None
    recorded: Run | None
    nearest: Nearest | None
    renamed_from: str | None


def explain(project: Project, names: Sequence[str]) -> list[Explanation]:
    """Explain the named steps; without names, all that are not fresh.

    Raises:
        GitmlError: The declaration, a lock or the code is not valid.
    """
    examined = examine(project, names)
    shown = [s for s in examined.judgements if s in set(examined.named)]
    if not names:
        shown = [s for s in shown if row_of(s, examined.judgements[s], {}).state != "fresh"]
    runs = [run for run in project.store.runs.all() if run.servable] if shown else []
    return [_explain(project, examined, step_id, runs) for step_id in shown]


def _explain(project: Project, examined: Examined, step_id: str, runs: Sequence[Run]) -> Explanation:
    judgement = examined.judgements[step_id]
    trees = Trees(project, examined.judge.look)
    reasons = staleness(judgement.observation.step, judgement.facts)
    row = row_of(step_id, judgement, {})
    return Explanation(
        row=row,
        key=judgement.facts.key,
        parts=judgement.facts.recipe.parts,
        details=tuple(_detail(reason, judgement, trees) for reason in reasons),
        lock=judgement.lock,
        recorded=_recorded(judgement.lock, runs),
        nearest=_nearest(judgement, runs, trees) if row.state != "fresh" else None,
        renamed_from=judgement.renamed_from,
    )


def _recorded(lock: LockEntry | None, runs: Sequence[Run]) -> Run | None:
    """Find the run that the lock records: of its key, with its outputs if one has them, else the newest."""
    if lock is None:
        return None
    candidates = [run for run in runs if run.key == lock.key]
    return max(candidates, key=lambda run: (run.outputs == lock.outputs, run.id), default=None)


def _nearest(judgement: Judgement, runs: Sequence[Run], trees: Trees) -> Nearest | None:
    """Choose among the runs of the step's family; a tie goes to the newest."""
    step, after = judgement.observation.step, judgement.facts.recipe.parts
    partial = bool(judgement.facts.unsettled or judgement.facts.missing)
    found: list[tuple[int, str, Run, tuple[Reason, ...]]] = []
    for run in runs:
        if run.step.partition("@")[0] == step.name:
            reasons = compare_parts(_comparable(run.recipe.parts, after, partial=partial), after)
            found.append((-len(reasons), run.id, run, reasons))
    if not found:
        return None
    _, _, run, reasons = max(found, key=lambda one: one[:2])
    return Nearest(run=run, details=tuple(_detail(reason, judgement, trees) for reason in reasons))


def _comparable(before: Mapping[str, object], after: Mapping[str, object], *, partial: bool) -> Mapping[str, object]:
    """Leave out inputs that are not known now: they may yet turn out the same."""
    if not partial:
        return before
    return {name: value for name, value in before.items() if name in after or not name.startswith("input:")}


def _detail(reason: Reason, judgement: Judgement, trees: Trees) -> Detail:
    discovery = judgement.observation.discovery
    if isinstance(reason, (PartChanged, PartAdded)) and reason.part.startswith("code:"):
        return Detail(reason=reason, via=chain(discovery, reason.part.removeprefix("code:")))
    if isinstance(reason, PartChanged) and reason.part.startswith("input:"):
        before, after = _folder(reason.before), _folder(reason.after)
        if before is not None and after is not None:
            path = reason.part.removeprefix("input:")
            return Detail(reason=reason, changes=trees.compare(path, before, after), was_folder=True)
    if isinstance(reason, OutputChanged) and judgement.lock is not None:
        entry = judgement.lock.outputs.get(reason.path)
        if entry is not None and entry.kind is Kind.DIRECTORY:
            changes = trees.compare_output(reason.path, entry.digest)
            return Detail(reason=reason, changes=changes, was_folder=True)
    return Detail(reason=reason)


def chain(discovery: Discovery, path: str) -> tuple[str, ...]:
    """Say how a code file came to belong to a step: the statement that imports it, the one before that, and so on."""
    words: list[str] = []
    seen: set[str] = set()
    while path in discovery.found and path not in seen:
        seen.add(path)
        via = discovery.found[path].via
        words.append(str(via))
        if not isinstance(via, Imported) or via.path is None:
            break
        path = via.path
    return tuple(words)


def _folder(part: object) -> Digest | None:
    """Give the tree that an input's part names, directly or as the target of a link."""
    if not isinstance(part, dict):
        return None
    entry = part.get("target", part)
    if not isinstance(entry, dict) or entry.get("mode") != Kind.DIRECTORY.value:
        return None
    return Digest.parse(entry.get("digest"))
