"""What is fresh, stale or unknown in the worktree. Writes nothing but derived caches."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from gitml.engine.drift import drifted
from gitml.engine.judge import Judge, Judgement
from gitml.engine.stamp import variable_digests
from gitml.engine.survey import survey
from gitml.engine.view import Witness
from gitml.git.settings import git_variables
from gitml.git.submodule import own_paths
from gitml.model.decision import Decision, Execute, Keep, Reason, Restore, Unknown
from gitml.model.path import is_glob
from gitml.project.preflight import check
from gitml.project.project import Project
from gitml.project.row import Row
from gitml.project.select import named_steps


def status(project: Project, names: Sequence[str]) -> list[Row]:
    """Judge the named steps and all they need, or all steps.

    Raises:
        GitmlError: The declaration, a lock or the code is not valid.
    """
    began_ns = project.clock.now_ns()
    pipeline = project.pipeline()
    wanted = pipeline.closure(named_steps(pipeline, names)) if names else frozenset(pipeline.steps)
    world = project.world(pipeline, acting=False)
    judge = Judge(world, world.look())
    check(judge, sorted(wanted))
    found = survey(judge, wanted)
    judge.look.view.save()
    drift = drifted(world, {step_id: judgement.facts.key for step_id, judgement in found.items()})
    if not names and not any(drift.values()):
        stamp_if_fresh(project, judge, found, began_ns)
    return [row_of(step_id, judgement, drift.get(step_id, {})) for step_id, judgement in found.items()]


def stamp_if_fresh(project: Project, judge: Judge, found: Mapping[str, Judgement], began_ns: int) -> None:
    """Write down that all is fresh, with all that this rests on, so that the next call can confirm it by stat alone."""
    pipeline = judge.world.pipeline
    if len(found) != len(pipeline.steps):
        return
    if not all(isinstance(j.decision, Keep) and j.renamed_from is None for j in found.values()):
        return
    witness: Witness = {}
    names: set[str] = set()
    for step_id, judgement in found.items():
        witness.update(judgement.witness)
        names.update(pipeline.steps[step_id].env)
        declared = {code.path for code in pipeline.steps[step_id].code}
        for probed in judgement.observation.discovery.probed:
            if probed not in witness:
                judge.look.view.stat(probed, witness)
            if is_glob(probed) or probed in declared:
                judge.look.view.note_folders(probed, witness)
    nested = [os.path.join(project.root, path) for path in witness if path.endswith("/.git")]
    own = [path for one in nested for path in own_paths(os.path.dirname(one), project.environ)]
    for path in (*own, *pipeline.files, "gitml.toml", "pyproject.toml", *project.outside(witness)):
        judge.look.view.stat(path, witness)
    names.update(git_variables(project.environ))
    rows = [[step_id, isinstance(j.decision, Keep) and j.decision.frozen] for step_id, j in found.items()]
    project.stamp.write(rows, witness, before_ns=began_ns, variables=variable_digests(sorted(names), project.environ))


def row_of(step_id: str, judgement: Judgement, drift: Mapping[str, tuple[str, str]]) -> Row:
    """Put a judgement into the words of the report."""
    state, reasons, upstream, frozen = describe(judgement.decision)
    if judgement.conflicted:
        state = "conflicted"
    return Row(step=step_id, state=state, reasons=reasons, upstream=upstream, frozen=frozen, drift=drift)


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
