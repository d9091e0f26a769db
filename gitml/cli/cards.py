"""A run's card and a step's sheet, as lines for people and as data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from gitml.cli.terminal import duration_text, printable, size_text
from gitml.cli.wording import moment_text, state_text
from gitml.cli.words import reason_json, reasons_text
from gitml.model.record import entry_to_json, run_to_json
from gitml.model.run import Run
from gitml.model.step import Command, Output, Role, Step
from gitml.model.tree import Entry, Kind
from gitml.model.value import to_json
from gitml.project.metrics import flatten
from gitml.project.show import Shown

_WIDTH = 11
_INPUTS_SHOWN = 40


def card_lines(run: Run) -> list[str]:
    """Write all that a run's card says, in human form."""
    facts = [
        ("run", run.id),
        ("step", run.step),
        ("state", _ended(run)),
        ("key", str(run.key)),
        ("commit", f"{run.snapshot or 'none'}" + (f" ({run.branch})" if run.branch else "")),
        ("started", moment_text(run.started)),
        ("took", _took(run)),
        ("memory", f"{size_text(run.peak_memory)} at most" if run.peak_memory else ""),
        ("where", _where(run)),
        ("python", f"{run.python}, {len(run.packages)} packages" if run.python else ""),
        ("GPUs", ", ".join(run.gpus)),
        ("labels", ", ".join(run.labels)),
        ("log", f"{run.log.short}  (gitml show {run.id} --log)" if run.log is not None else "empty"),
    ]
    lines = [_field(name, value) for name, value in facts if value]
    lines += _section("commands", run.commands)
    lines += _section("params", (f"{name} = {_plain(value)}" for name, value in run.params.items()))
    lines += _section("metrics", (f"{name} = {_plain(value)}" for name, value in flatten(run.metrics).items()))
    inputs = list(_inputs(run.recipe.parts))
    more = [f"… {len(inputs)} in all"] if len(inputs) > _INPUTS_SHOWN else []
    lines += _section("inputs", [*inputs[:_INPUTS_SHOWN], *more])
    return lines + _section("outputs", (_entry(path, entry) for path, entry in run.outputs.items()))


def sheet_lines(shown: Shown) -> list[str]:
    """Write a step as it is resolved, with all code that was found."""
    step, row = shown.step, shown.row
    reasons = f"  {reasons_text(row.reasons)}" if row.reasons else ""
    waits = f"  waits for {', '.join(row.upstream)}" if row.upstream else ""
    facts = [
        ("step", step.id),
        ("about", step.description),
        ("state", row.state + (" (frozen)" if row.frozen else "") + reasons + waits),
        ("key", str(shown.judgement.facts.key) + (" (inputs are not settled)" if row.upstream else "")),
        ("cwd", step.cwd if step.cwd != "." else ""),
        ("shell", step.shell or ""),
        ("matrix", ", ".join(f"{name} = {_plain(to_json(value))}" for name, value in step.matrix.items())),
        ("env", ", ".join(step.env)),
        ("secrets", ", ".join(step.secrets)),
        ("packages", ", ".join(step.packages)),
        ("after", ", ".join(step.after)),
        ("read by", ", ".join(shown.readers)),
        ("resources", _resources(step)),
        ("limits", _limits(step)),
        ("labels", ", ".join(step.labels)),
    ]
    lines = [_field(name, value) for name, value in facts if value]
    lines += _section("commands", map(_command, step.commands))
    lines += _section("params", (f"{name} = {_plain(to_json(value))}" for name, value in step.params.items()))
    lines += _section("inputs", (_input(path, makers) for path, makers in shown.makers.items()))
    lines += _section("outputs", map(_output, step.outputs))
    discovery = shown.judgement.observation.discovery
    found = discovery.found.values()
    lines += _section("code", (f"{f.path}  {f.via}" + (", by its bytes" if f.exact else "") for f in found))
    lines += _section("not followed", map(str, discovery.dynamic))
    if shown.last_run is not None:
        lines += ["last run", *(f"  {line}" for line in card_lines(shown.last_run))]
    return lines


def sheet_json(shown: Shown) -> dict[str, object]:
    """Give a step's sheet as data."""
    step, observation = shown.step, shown.judgement.observation
    found = observation.discovery.found.values()
    return {
        "step": step.id,
        "name": step.name,
        "description": step.description,
        "state": shown.row.state,
        "reasons": [reason_json(reason) for reason in shown.row.reasons],
        "upstream": list(shown.row.upstream),
        "key": str(shown.judgement.facts.key),
        "matrix": to_json(step.matrix),
        "commands": [list(c.argv) if c.text is None else c.text for c in step.commands],
        "shell": step.shell,
        "cwd": step.cwd,
        "inputs": [{"path": path, "made_by": list(makers)} for path, makers in shown.makers.items()],
        "outputs": [_output_json(output) for output in step.outputs],
        "params": to_json(step.params),
        "env": list(step.env),
        "secrets": list(step.secrets),
        "packages": list(step.packages),
        "after": list(step.after),
        "read_by": list(shown.readers),
        "resources": {"cpus": step.resources.cpus, "gpus": step.resources.gpus, "memory": step.resources.memory},
        "timeout": step.timeout,
        "retries": step.retries,
        "always": step.always,
        "frozen": step.frozen,
        "labels": list(step.labels),
        "code": [{"path": f.path, "exact": f.exact, "via": str(f.via)} for f in found],
        "dynamic": [{"path": d.path, "line": d.line, "text": d.text} for d in observation.discovery.dynamic],
        "recipe": dict(observation.recipe.parts),
        "recorded": _recorded_json(shown),
        "last_run": None if shown.last_run is None else run_to_json(shown.last_run),
    }


def _recorded_json(shown: Shown) -> dict[str, object] | None:
    lock = shown.judgement.lock
    if lock is None:
        return None
    outputs = {path: entry_to_json(entry) for path, entry in lock.outputs.items()}
    return {"key": str(lock.key), "outputs": outputs, "accepted": lock.accepted}


def _field(name: str, value: str) -> str:
    return f"{name.ljust(_WIDTH)}{printable(value)}"


def _section(name: str, lines: Iterable[str]) -> list[str]:
    found = [f"  {printable(line)}" for line in lines]
    return [name, *found] if found else []


def _ended(run: Run) -> str:
    text = state_text(run)
    if run.tainted:
        text += f": {', '.join(run.tainted)} changed while it ran"
    return text + (f": {run.accepted}" if run.accepted is not None else "")


def _took(run: Run) -> str:
    attempts = f", {run.attempts} attempts" if run.attempts > 1 else ""
    return f"{duration_text(run.duration)} ({duration_text(run.cpu_seconds)} CPU{attempts})"


def _where(run: Run) -> str:
    return f"{run.user}@{run.host}" + (f", {run.executor}" if run.executor != "local" else "")


def _inputs(parts: Mapping[str, object]) -> Iterable[str]:
    for part, value in parts.items():
        if part.startswith("input:"):
            digest = value.get("digest") if isinstance(value, dict) else None
            kind = f"{value.get('mode')}  " if isinstance(value, dict) else ""
            yield f"{part.removeprefix('input:')}  {kind}{digest or 'nothing there'}"


def _entry(path: str, entry: Entry) -> str:
    files = f"  {entry.files} files" if entry.kind is Kind.DIRECTORY else ""
    return f"{path}  {entry.kind.value}  {entry.digest}  {size_text(entry.size)}{files}"


def _command(command: Command) -> str:
    return command.text if command.text is not None else json.dumps(command.argv, ensure_ascii=False)


def _input(path: str, makers: tuple[str, ...]) -> str:
    more = f" (+{len(makers) - 3} more)" if len(makers) > 3 else ""
    return f"{path}  made by {', '.join(makers[:3])}{more}" if makers else path


def _output(output: Output) -> str:
    marks = [
        output.role.value if output.role is not Role.OUTPUT else "",
        "held by Git" if output.git else "",
        "not cached" if not output.cache else "",
        "resumed" if output.resume else "",
        "not pushed" if not output.push else "",
        f"remote {output.remote}" if output.remote else "",
    ]
    told = ", ".join(mark for mark in marks if mark)
    return f"{output.path}  ({told})" if told else output.path


def _output_json(output: Output) -> dict[str, object]:
    return {
        "path": output.path,
        "role": output.role.value,
        "git": output.git,
        "cache": output.cache,
        "resume": output.resume,
        "push": output.push,
        "remote": output.remote,
    }


def _resources(step: Step) -> str:
    wanted = step.resources
    memory = f", {size_text(wanted.memory)} of memory" if wanted.memory else ""
    gpus = f", {wanted.gpus} GPUs" if wanted.gpus else ""
    return f"{wanted.cpus:g} CPUs{gpus}{memory}"


def _limits(step: Step) -> str:
    told = [
        f"at most {duration_text(step.timeout)}" if step.timeout is not None else "",
        f"{step.retries} retries" if step.retries else "",
        "always run" if step.always else "",
        "frozen" if step.frozen else "",
    ]
    return ", ".join(text for text in told if text)


def _plain(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
