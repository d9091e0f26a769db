"""What must be right before anything runs: all that is wrong is told at once, and nothing is written."""

from __future__ import annotations

from collections.abc import Iterable

from gitml.engine.judge import Judge
from gitml.errors import GitmlError, UsageError


class PreflightError(UsageError):
    """One or more steps cannot be judged; `problems` has an error for each."""

    def __init__(self, problems: tuple[GitmlError, ...]) -> None:
        hints = dict.fromkeys(problem.hint for problem in problems if problem.hint)
        text = "\n".join(dict.fromkeys(str(problem) for problem in problems))
        super().__init__(text, hint="; ".join(hints) or None)
        self.problems = problems


def check(judge: Judge, wanted: Iterable[str]) -> None:
    """Read every wanted step's lock and find its code; check that Git tracks no output that is not declared so.

    Raises:
        PreflightError: Something is wrong; nothing was run or written.
    """
    problems: list[GitmlError] = []
    for step_id in wanted:
        step = judge.world.pipeline.steps[step_id]
        for output in step.outputs:
            tracked = judge.look.held.is_held(output.path) or judge.look.held.is_dir(output.path)
            if tracked and not output.git:
                problems.append(
                    UsageError(
                        f"output {output.path} of step {step.id} is tracked by Git, and each path has one owner",
                        hint=f"git rm -r --cached {output.path}, or declare it with git = true",
                    )
                )
        try:
            judge.look.observer.discover(step)
            judge.world.locks.look(step)
        except GitmlError as error:
            problems.append(error)
    if problems:
        raise PreflightError(tuple(problems))
