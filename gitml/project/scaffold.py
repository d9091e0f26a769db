"""Write a first `gitml.toml` for the scripts that a repository already has."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from gitml.engine.code import CodeError
from gitml.engine.judge import Judge
from gitml.errors import UsageError
from gitml.git.index import HeldFiles
from gitml.git.repository import open_repository
from gitml.manifest.load import MANIFEST, PYPROJECT, load
from gitml.manifest.text import decode, parse_toml
from gitml.model.pipeline import Pipeline
from gitml.model.step import Step
from gitml.project.place import Place, place_at
from gitml.project.project import open_project
from gitml.project.scripts import Script, find_scripts

_SHOWN = 6
_PARAMS = ("params.toml", "params.yaml", "params.yml", "params.json")
_LOCKS = ("uv.lock", "poetry.lock", "pylock.toml")

_HEAD = """\
# The steps of this project. `gitml repro` runs those whose code, parameters or inputs changed.
# What a step reads and writes is for you to say: lines below that begin with `# inputs` or `# outputs` are guesses.
"""
_EXAMPLE = """
# No script was found that looks like a step. This is what one is declared like:
#
# [step.train]
# run = "python train.py --lr ${{ params.lr }}"
# inputs = ["data/train.csv"]
# outputs = ["model.pt"]
# metrics = ["scores.json"]
#
# [params]
# lr = 0.01
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """A declaration that is not written yet: its full path, its text and the steps that it declares."""

    path: str
    text: str
    steps: tuple[str, ...]


def propose(folder: str, environ: Mapping[str, str]) -> Proposal:
    """Write a declaration for the folder, which need not be the top of its repository.

    The text compiles, and every step that it declares can be judged: a script whose code cannot be found is only
    mentioned in a comment, with the reason.

    Raises:
        UsageError: There is no repository, or the folder has a declaration already.
    """
    repository = open_repository(folder, environ)
    place = place_at(repository, os.path.realpath(folder))
    _refuse_declared(place.root)
    held = HeldFiles(repository.git(environ), place.prefix)
    files = {*held.tracked, *held.would_add()}
    scripts = find_scripts(place.root, files)
    problems = _problems(place, environ, scripts)
    text = _text(place.root, files, scripts, problems)
    steps = _compile(place.root, text).steps
    return Proposal(path=os.path.join(place.root, MANIFEST), text=text, steps=tuple(steps))


def write(proposal: Proposal) -> None:
    """Write the declaration, never over one that is there.

    Raises:
        UsageError: Somebody wrote one meanwhile.
    """
    try:
        with open(proposal.path, "x", encoding="utf-8") as file:
            file.write(proposal.text)
    except FileExistsError:
        raise UsageError(f"{MANIFEST} exists already", hint="nothing was written") from None


def _refuse_declared(root: str) -> None:
    if os.path.lexists(os.path.join(root, MANIFEST)):
        raise UsageError(f"{MANIFEST} exists already", hint="edit it; `gitml lint` shows what looks wrong in it")
    data = _read(root, PYPROJECT)
    if data is not None and b"gitml" in data:
        tool = parse_toml(PYPROJECT, decode(PYPROJECT, data)).get("tool")
        if isinstance(tool, dict) and "gitml" in tool:
            raise UsageError(f"[tool.gitml] in {PYPROJECT} declares this project already", hint="edit it there")


def _problems(place: Place, environ: Mapping[str, str], scripts: Sequence[Script]) -> dict[str, str]:
    """Tell for which scripts the code cannot be found, and why: such a step would stop every `gitml status`."""
    pipeline = _compile(place.root, "".join(_step(script, "") for script in scripts))
    project = open_project(place, environ)
    try:
        world = project.world(pipeline, acting=False)
        judge = Judge(world, world.look())
        found = {step.name: _problem(judge, step) for step in pipeline.steps.values()}
        return {name: why for name, why in found.items() if why is not None}
    finally:
        project.close()


def _problem(judge: Judge, step: Step) -> str | None:
    try:
        judge.look.observer.discover(step)
    except CodeError as error:
        return error.message
    return None


def _text(root: str, files: Collection[str], scripts: Sequence[Script], problems: Mapping[str, str]) -> str:
    text = _HEAD + _project(files)
    for script in scripts:
        if script.name in problems:
            text += f"\n# {script.path} is left out: {' '.join(problems[script.name].split())}\n"
        else:
            text += "\n" + _step(script, _guesses(root, script))
    return text if scripts else text + _EXAMPLE


def _project(files: Collection[str]) -> str:
    lines = []
    params = [name for name in _PARAMS if name in files]
    if params:
        lines.append(f"# params = {_quoted(params[:1])}  # lets commands say ${{{{ params.… }}}}")
    locks = [name for name in _LOCKS if name in files]
    if locks:
        lines.append(f"# environment = {_quoted(locks[:1])[1:-1]}  # lets steps name the packages that matter to them")
    return "\n[project]\n" + "\n".join(lines) + "\n" if lines else ""


def _step(script: Script, guesses: str) -> str:
    return f"[step.{script.name}]\nrun = {json.dumps(script.command)}\n{guesses}"


def _guesses(root: str, script: Script) -> str:
    """Write comments: files that are there and are named are inputs, files that are written are outputs."""
    there = [path for path in script.guess.named if _is_data(root, path)]
    written = [path for path in script.guess.written if path not in there]
    inputs = f"# inputs = {_quoted(there[:_SHOWN])}  # named in {script.path}" if there else '# inputs = ["…"]'
    outputs = (
        f"# outputs = {_quoted(written[:_SHOWN])}  # written by {script.path}?" if written else '# outputs = ["…"]'
    )
    return f"{inputs}\n{outputs}\n"


def _is_data(root: str, path: str) -> bool:
    return path != "." and not path.endswith(".py") and os.path.exists(os.path.join(root, path))


def _quoted(paths: Sequence[str]) -> str:
    return "[" + ", ".join(json.dumps(path) for path in paths) + "]"


def _compile(root: str, text: str) -> Pipeline:
    """Compile the text as if it were written."""
    return load(lambda path: text.encode() if path == MANIFEST else _read(root, path))


def _read(root: str, path: str) -> bytes | None:
    try:
        with open(os.path.join(root, path), "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
