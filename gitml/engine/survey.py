"""The loop without acting: what `status`, `why` and `repro -n` say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from gitml.engine.judge import Judge, Judgement, Upstream
from gitml.model.decision import Execute, Restore, Unknown
from gitml.model.pipeline import Pipeline
from gitml.model.tree import Entry


def survey(judge: Judge, wanted: Iterable[str], *, forced: frozenset[str] = frozenset()) -> dict[str, Judgement]:
    """Judge steps in topological order as if each were acted upon; gives the judgements by id, in that order.

    Outputs that would be restored are taken as the run names them; a step below one that would execute is unknown,
    unless it is stale by itself.
    """
    pipeline = judge.world.pipeline
    found: dict[str, Judgement] = {}
    for step_id in topological(pipeline, wanted):
        upstream = _upstream(pipeline, step_id, found)
        found[step_id] = judge.judge(pipeline.steps[step_id], upstream, force=step_id in forced)
    return found


def topological(pipeline: Pipeline, wanted: Iterable[str]) -> Iterator[str]:
    """Give ids so that each comes after all that must be done before it, else in declared order."""
    chosen = set(wanted)
    done: set[str] = set()
    for start in pipeline.steps:
        if start not in chosen or start in done:
            continue
        stack = [(start, iter(pipeline.before(start)))]
        entered = {start}
        while stack:
            step_id, rest = stack[-1]
            below = next((b for b in rest if b in chosen and b not in done and b not in entered), None)
            if below is None:
                stack.pop()
                done.add(step_id)
                yield step_id
            else:
                entered.add(below)
                stack.append((below, iter(pipeline.before(below))))


def _upstream(pipeline: Pipeline, step_id: str, found: Mapping[str, Judgement]) -> Upstream:
    produced: dict[str, Entry] = {}
    unsettled: dict[str, str] = {}
    for above in pipeline.upstream.get(step_id, ()):
        judgement = found.get(above)
        decision = judgement.decision if judgement is not None else None
        if isinstance(decision, Restore):
            produced.update(decision.run.outputs)
        if isinstance(decision, (Restore, Execute, Unknown)):
            unsettled.update({output.path: above for output in pipeline.steps[above].outputs})
    return Upstream(produced=produced, unsettled=unsettled)
