"""Bring steps up to date."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gitml.engine.card import environment_facts
from gitml.engine.judge import Judge, Judgement
from gitml.engine.logs import sweep
from gitml.engine.loop import Loop, Options, Result
from gitml.engine.outcome import Executed, Kept
from gitml.engine.recovery import settle_inflight
from gitml.engine.report import Reporter
from gitml.engine.resources import Machine, visible_gpus
from gitml.engine.survey import survey
from gitml.engine.witness import Witness
from gitml.engine.world import World
from gitml.errors import InterruptedRunError
from gitml.hashing.meter import SILENT, Meter
from gitml.model.pipeline import Pipeline
from gitml.project.needed import needed_and_missing
from gitml.project.preflight import check, check_merged
from gitml.project.project import Project
from gitml.project.record import record_changes
from gitml.project.row import Row
from gitml.project.select import named_steps
from gitml.project.sources import refresh_ignored, sources_of, sources_read, survey_sources
from gitml.project.status import Verdict, row_of, stamp_if_fresh
from gitml.project.treediff import Changes

_DURATION = "duration"


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What the user asked for. `jobs`: CPUs to use at once; None: all that this process may use."""

    names: Sequence[str] = ()
    jobs: int | None = None
    force: bool = False
    keep_going: bool = False
    downstream: bool = False
    verify: Sequence[str] = ()
    stream: bool = False


@dataclass(slots=True)
class Interrupts:
    """Where a signal handler finds the loop to stop, once there is one."""

    interrupt: Callable[[], None] | None = None
    asked: bool = field(default=False)

    def __call__(self) -> None:
        """Stop the loop, or keep it from starting."""
        self.asked = True
        if self.interrupt is not None:
            self.interrupt()


class Stoppable:
    """A meter through which an interrupt stops the recording of sources: what was stored stays, no pointer changes."""

    def __init__(self, meter: Meter, interrupts: Interrupts) -> None:
        self._meter = meter
        self._interrupts = interrupts

    def phase(self, name: str, *, files: int | None = None, size: int | None = None) -> None:
        """Pass on."""
        self._meter.phase(name, files=files, size=size)

    def advance(self, files: int, size: int) -> None:
        """Pass on, unless the user asked to stop."""
        if self._interrupts.asked:
            raise InterruptedRunError("stopped while sources were recorded", hint="nothing was recorded by halves")
        self._meter.advance(files, size)


def repro(
    project: Project, request: Request, reporter: Reporter, interrupts: Interrupts, meter: Meter = SILENT
) -> Result:
    """Run, restore or keep each wanted step; new versions of the sources that they read are recorded first.

    Raises:
        GitmlError: The declaration, a lock or the code is not valid; nothing was run.
    """
    began_ns = project.clock.now_ns()
    sources_of(project).settle()
    pipeline = project.pipeline()
    world = project.world(pipeline, acting=True)
    judge = Judge(world, world.look())
    options = _options(pipeline, request)
    check(judge, sorted(options.wanted))
    check_merged(judge, sorted(options.wanted))
    recover(world)
    known = refresh_ignored(project, pipeline)
    missing = needed_and_missing(project.root, pipeline, options.wanted)
    if missing:
        _fetch(project, pipeline, missing, reporter, interrupts, meter)
        judge, known = Judge(world, world.look()), sources_of(project).known()
    read = sources_read(pipeline, options.wanted, known)
    for change in record_changes(project, world, judge.look, read, Stoppable(meter, interrupts)):
        counts = change.changes or Changes()
        entry = change.pointer.entry
        reporter.recorded(change.pointer.path, added=counts.added, changed=counts.changed, digest=str(entry.digest))
    loop = Loop(
        judge,
        options,
        machine_of(request, pipeline, project),
        reporter,
        environment_facts(project.environ),
        _durations(project),
    )
    interrupts.interrupt = loop.interrupt
    if interrupts.asked:
        loop.interrupt()
    result = loop.run()
    judge.look.view.save()
    _remember_durations(project, result)
    if all(isinstance(outcome, Kept) for outcome in result.outcomes.values()) and not request.names:
        _stamp(project, judge, result.judgements, began_ns)
    return result


def _fetch(
    project: Project,
    pipeline: Pipeline,
    missing: Sequence[str],
    reporter: Reporter,
    interrupts: Interrupts,
    meter: Meter,
) -> None:
    """Download declared sources that are not here."""
    from gitml.project.fetch import fetch_missing  # noqa: PLC0415 - what speaks HTTP takes 40 ms to load

    def stop() -> None:  # called by the handler of a signal: raising there ends the wait for a server at once
        raise InterruptedRunError("stopped while sources were downloaded", hint="nothing was recorded by halves")

    interrupts.interrupt = stop
    try:
        if interrupts.asked:
            stop()
        for source in fetch_missing(project, pipeline, missing, meter):
            if source.state == "new":
                reporter.recorded(source.path, added=1, changed=0, digest=str(source.entry.digest))
    finally:
        interrupts.interrupt = None


def _stamp(project: Project, judge: Judge, found: Mapping[str, Judgement], began_ns: int) -> None:
    """Write down that nothing was to be done, if the sources that no step reads are as they were, too."""
    known = sources_of(project).known()
    witness: Witness = {}
    sources = list(survey_sources(project, judge, known, found, witness))
    stamp_if_fresh(project, judge, Verdict(found, known, sources, witness), began_ns)


def plan(project: Project, request: Request) -> list[Row]:
    """Say what `repro` would do: the same loop, not acting.

    Raises:
        GitmlError: The declaration, a lock or the code is not valid.
    """
    pipeline = project.pipeline()
    world = project.world(pipeline, acting=False)
    judge = Judge(world, world.look())
    options = _options(pipeline, request)
    check(judge, sorted(options.wanted))
    found = survey(judge, options.wanted, forced=options.forced)
    return [row_of(step_id, judgement, {}) for step_id, judgement in found.items()]


def recover(world: World) -> None:
    """Finish or undo what earlier processes left half done, where nobody works on it any more."""
    sweep(os.path.join(world.machine, "logs"))
    for inflight in world.workspace.inflight():
        claims = []
        for path in inflight.outputs:
            claim = world.paths.attempt(f"{world.root}\0{path}")
            if claim is None:
                break
            claims.append(claim)
        else:
            settle_inflight(world, inflight)
        for claim in claims:
            claim.abandon()  # its text may name another execution, which the next holder cleans up after


def machine_of(request: Request, pipeline: Pipeline, project: Project) -> Machine:
    """Tell what may be used at once: `-j` CPUs (default: those this process may run on), GPUs, all memory."""
    cpus = request.jobs or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    wants_memory = any(step.resources.memory for step in pipeline.steps.values())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if wants_memory else 0
    return Machine(cpus=cpus, gpus=visible_gpus(project.environ), memory=memory)


def _options(pipeline: Pipeline, request: Request) -> Options:
    verify = named_steps(pipeline, request.verify)
    named = named_steps(pipeline, request.names) or verify or tuple(pipeline.steps)
    wanted = pipeline.closure((*named, *verify), downstream=request.downstream)
    forced = frozenset(named) if request.force else frozenset()
    return Options(
        wanted=wanted,
        forced=forced,
        verify=frozenset(verify),
        keep_going=request.keep_going,
        stream=request.stream,
    )


def _durations(project: Project) -> dict[str, float]:
    value = project.database.memo(_DURATION, b"steps")
    return json.loads(value) if value is not None else {}


def _remember_durations(project: Project, result: Result) -> None:
    ran = {i: o.run.duration for i, o in result.outcomes.items() if isinstance(o, Executed)}
    if ran:
        value = json.dumps({**_durations(project), **ran}).encode()
        project.database.store_memos(_DURATION, {b"steps": value})
