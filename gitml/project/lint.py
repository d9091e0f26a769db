"""Look for what is allowed but looks wrong: code that cannot be followed, files that nobody declared, loose ends."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence

from gitml.engine.judge import Judge
from gitml.manifest.positions import Path, locate
from gitml.model.pipeline import Pipeline
from gitml.project.finding import Finding
from gitml.project.lintrules import RULES, Look, Place, Suspicion
from gitml.project.owners import owners_of
from gitml.project.preflight import check
from gitml.project.project import Project
from gitml.project.select import named_steps

_RANK = {"warning": 0, "info": 1}


def lint(project: Project, names: Sequence[str]) -> list[Finding]:
    """Look at the named steps, or at the whole project; findings come in the order of files and lines.

    Raises:
        GitmlError: The declaration, a lock or the code is not valid.
    """
    pipeline = project.pipeline()
    wanted = named_steps(pipeline, names) if names else tuple(pipeline.steps)
    world = project.world(pipeline, acting=False)
    judge = Judge(world, world.look())
    known = check(judge, wanted)
    look = Look(
        pipeline=pipeline,
        steps=[step for step in pipeline.steps.values() if step.id in set(wanted)],
        judge=judge,
        owners=owners_of(pipeline),
        sources=frozenset((*known.pointers, *pipeline.sources)),
        whole=not names,
    )
    suspicions = (suspicion for rule in RULES for suspicion in rule(look))
    found = list(_placed(project, pipeline, _merged(suspicions)))
    judge.look.view.save()
    return sorted(found, key=lambda f: (f.file, f.line, f.column, _RANK[f.severity], f.rule, f.message))


def _merged(suspicions: Iterable[Suspicion]) -> Iterator[Suspicion]:
    """Say once what is the same for several steps: the instances of a family share their declaration."""
    found: dict[tuple[str, Place, str], Suspicion] = {}
    steps: dict[tuple[str, Place, str], list[str]] = {}
    for one in suspicions:
        key = (one.rule, one.at, one.message)
        found.setdefault(key, one)
        steps.setdefault(key, []).extend(one.steps)
    for same, one in found.items():
        yield one.of(tuple(dict.fromkeys(steps[same])))


def _placed(project: Project, pipeline: Pipeline, suspicions: Iterable[Suspicion]) -> Iterator[Finding]:
    """Look up where in the manifest each stands."""
    manifest = pipeline.files[0]
    prefix: Path = ("tool", "gitml") if manifest == "pyproject.toml" else ()
    with open(os.path.join(project.place.root, manifest), encoding="utf-8-sig", newline="") as file:
        text = file.read()
    for one in suspicions:
        where = one.at
        if where.file is None:
            spot = locate(text, (*prefix, *where.path), value=where.value, within=where.within)
            where = Place(file=manifest, line=spot.line, column=spot.column)
        yield Finding(
            rule=one.rule,
            severity=one.severity,
            file=where.file or manifest,
            line=where.line,
            column=where.column,
            message=one.message,
            hint=one.hint,
            steps=one.steps,
        )
