"""What is fresh, stale or unknown in the worktree. Writes nothing but derived caches."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gitml.engine.drift import drifted
from gitml.engine.judge import Judge, Judgement
from gitml.engine.sources import Known, SourceState
from gitml.engine.stamp import variable_digests
from gitml.engine.survey import survey
from gitml.engine.witness import Witness, note_all
from gitml.git.settings import git_variables
from gitml.git.submodule import own_paths
from gitml.model.decision import Decision, Execute, Keep, Reason, Restore, Unknown
from gitml.model.path import is_glob
from gitml.project.preflight import check
from gitml.project.project import Project
from gitml.project.row import Row, SourceRow
from gitml.project.select import named_steps
from gitml.project.sources import Standing, sources_read, survey_sources


class Report(NamedTuple):
    """What `status` tells. `sources`: those that the named steps read, or all."""

    rows: list[Row]
    sources: list[Standing]


def status(project: Project, names: Sequence[str]) -> Report:
    """Judge the named steps and all they need, or all steps and sources.

    Raises:
        GitmlError: The declaration, a lock, a pointer or the code is not valid.
    """
    began_ns = project.clock.now_ns()
    pipeline = project.pipeline()
    wanted = pipeline.closure(named_steps(pipeline, names)) if names else frozenset(pipeline.steps)
    world = project.world(pipeline, acting=False)
    judge = Judge(world, world.look())
    known = check(judge, sorted(wanted))
    found = survey(judge, wanted)
    read = known if not names else known.only(sources_read(pipeline, wanted, known))
    witness: Witness = {}
    sources = list(survey_sources(project, judge, read, found, witness))
    judge.look.view.save()
    drift = drifted(world, {step_id: judgement.facts.key for step_id, judgement in found.items()})
    if not names and not any(drift.values()):
        stamp_if_fresh(project, judge, Verdict(found, known, sources, witness), began_ns)
    rows = [row_of(step_id, judgement, drift.get(step_id, {})) for step_id, judgement in found.items()]
    return Report(rows, sources)


class Verdict(NamedTuple):
    """What a stamp would vouch for; `witness`: what was looked at for the sources."""

    found: Mapping[str, Judgement]
    known: Known
    sources: Sequence[Standing]
    witness: Witness


def stamp_if_fresh(project: Project, judge: Judge, verdict: Verdict, began_ns: int) -> None:
    """Write down that all is fresh, with all that this rests on, so that the next call can confirm it by stat alone."""
    pipeline, found = judge.world.pipeline, verdict.found
    if len(found) != len(pipeline.steps) or len(verdict.sources) != len(verdict.known.pointers):
        return
    if not all(isinstance(j.decision, Keep) and j.renamed_from is None for j in found.values()):
        return
    if not all(standing.state is SourceState.CLEAN for standing in verdict.sources):
        return
    witness = _looked_at(project, judge, verdict)
    names = {name for step_id in found for name in pipeline.steps[step_id].env} | git_variables(project.environ)
    steps = [[step_id, isinstance(j.decision, Keep) and j.decision.frozen] for step_id, j in found.items()]
    rows = [steps, list(verdict.known.pointers)]
    project.stamp.write(rows, witness, before_ns=began_ns, variables=variable_digests(sorted(names), project.environ))


def _looked_at(project: Project, judge: Judge, verdict: Verdict) -> Witness:
    """Gather all that a verdict rests on."""
    pipeline = judge.world.pipeline
    witness: Witness = dict(verdict.witness)
    for step_id, judgement in verdict.found.items():
        note_all(witness, judgement.witness)
        declared = {code.path for code in pipeline.steps[step_id].code}
        for probed in judgement.observation.discovery.probed:
            if probed not in witness:
                judge.look.view.stat(probed, witness)
            if is_glob(probed) or probed in declared:
                judge.look.view.note_folders(probed, witness)
    nested = [os.path.join(project.root, path) for path in witness if path.endswith("/.git")]
    own = [path for one in nested for path in own_paths(os.path.dirname(one), project.environ)]
    declaring = (*pipeline.files, "gitml.toml", "pyproject.toml", *verdict.known.looked_at)
    for path in (*own, *declaring, *project.outside(witness)):
        judge.look.view.stat(path, witness)
    return witness


def row_of(step_id: str, judgement: Judgement, drift: Mapping[str, tuple[str, str]]) -> Row:
    """Put a judgement into the words of the report."""
    state, reasons, upstream, frozen = describe(judgement.decision)
    if judgement.conflicted:
        state = "conflicted"
    return Row(step=step_id, state=state, reasons=reasons, upstream=upstream, frozen=frozen, drift=drift)


def source_row(standing: Standing) -> SourceRow:
    """Put the state of a source into the words of the report."""
    return SourceRow(path=standing.pointer.path, state=standing.state.value, changes=standing.changes)


def describe(decision: Decision) -> tuple[str, tuple[Reason, ...], tuple[str, ...], bool]:
    """Put a decision into the words of the report: state, reasons, upstream steps, frozen."""
    if isinstance(decision, Keep):
        return "fresh", (), (), decision.frozen
    if isinstance(decision, Restore):
        return "cached", decision.reasons, (), False
    if isinstance(decision, Execute):
        return "stale", decision.reasons, (), False
    assert isinstance(decision, Unknown)
    return "unknown", (), decision.upstream, False
