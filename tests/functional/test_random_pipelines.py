"""Random pipelines under random edits: exactly the steps run whose inputs have bytes that were never seen, as a naive
model says that keeps every result by the text of all that went into it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.functional.command import Project, new_project
from tests.functional.killing import FaultServer
from tests.strategies import EXAMPLES

SOURCES = ("x0", "x1", "x2")


@dataclass(slots=True)
class Model:
    """Sources by name, steps as (constant, inputs) by name; `seen`: every result by what it was made from."""

    sources: dict[str, int]
    steps: dict[str, tuple[int, tuple[str, ...]]]
    seen: dict[tuple[object, ...], int] = field(default_factory=dict)

    def manifest(self) -> str:
        """Each step adds up its inputs and a constant and divides by three, so that many changes come to nothing."""
        text = ""
        for name, (constant, inputs) in self.steps.items():
            total = " + ".join(f"$(cat {path})" for path in inputs) or "0"
            text += f'[step.{name}]\nrun = "echo {name} >> $RAN; echo $(( ({total} + {constant}) / 3 )) > {name}.out"\n'
            text += f'inputs = {list(inputs)!r}\noutputs = ["{name}.out"]\n'
        return text.replace("'", '"')

    def bring_up_to_date(self) -> tuple[set[str], dict[str, int]]:
        """Which steps must run, and what every file then holds."""
        values = dict(self.sources)
        ran = set()
        for name, (constant, inputs) in self.steps.items():
            made_from = (name, constant, inputs, tuple(values[path] for path in inputs))
            if made_from not in self.seen:
                ran.add(name)
                self.seen[made_from] = (sum(values[path] for path in inputs) + constant) // 3
            values[f"{name}.out"] = self.seen[made_from]
        return ran, values


@st.composite
def models(draw: st.DrawFn) -> Model:
    steps: dict[str, tuple[int, tuple[str, ...]]] = {}
    for number in range(draw(st.integers(1, 6))):
        known = [*SOURCES, *(f"{name}.out" for name in steps)]
        inputs = tuple(sorted(draw(st.sets(st.sampled_from(known), max_size=3))))
        steps[f"s{number}"] = (draw(st.integers(0, 5)), inputs)
    return Model(dict.fromkeys(SOURCES, 1), steps)


edits = st.tuples(
    st.sampled_from(["source", "source", "constant", "delete", "hand", "drop input", "nothing"]),
    st.integers(0, 99),
    st.integers(0, 9),
)


def edit(project: Project, model: Model, what: str, which: int, value: int) -> None:
    """Make one change, in the model and on disk."""
    name = sorted(model.steps)[which % len(model.steps)]
    constant, inputs = model.steps[name]
    if what == "source":
        source = SOURCES[which % len(SOURCES)]
        model.sources[source] = value
        project.write(source, f"{value}\n")
    elif what == "constant":
        model.steps[name] = (value, inputs)
    elif what == "drop input" and inputs:
        model.steps[name] = (constant, inputs[1:])
    elif what == "delete":
        (project.path / f"{name}.out").unlink()
    elif what == "hand":
        project.write(f"{name}.out", f"{value}\n")
    project.write("gitml.toml", model.manifest())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultServer]:
    with FaultServer(tmp_path_factory.mktemp("faults")) as running:
        yield running


@settings(deadline=None, max_examples=max(10, EXAMPLES // 4), suppress_health_check=list(HealthCheck))
@given(model=models(), changes=st.lists(st.lists(edits, max_size=3), min_size=1, max_size=4), jobs=st.integers(1, 3))
def test_exactly_the_steps_run_whose_inputs_are_new(
    model: Model,
    changes: list[list[tuple[str, int, int]]],
    jobs: int,
    tmp_path_factory: pytest.TempPathFactory,
    server: FaultServer,
) -> None:
    folder = tmp_path_factory.mktemp("random")
    project = new_project(folder, model.manifest(), **{name: f"{value}\n" for name, value in model.sources.items()})
    for group in [[], *changes]:
        for what, which, value in group:
            if what == "delete" and not project.exists(f"{sorted(model.steps)[which % len(model.steps)]}.out"):
                continue
            edit(project, model, what, which, value)
        up_to_date(project, server, model, jobs)
    shutil.rmtree(folder)


def up_to_date(project: Project, server: FaultServer, model: Model, jobs: int) -> None:
    """Bring up to date, compare with the model, and see that nothing is left to do."""
    wanted, values = model.bring_up_to_date()
    done = server.run(project.path, "repro", "-j", str(jobs), environ=project.environ)
    assert done.code == 0, done.shown
    ran = project.calls()
    assert sorted(ran) == sorted(wanted), done.shown
    assert {path: int(project.read(path)) for path in values} == values
    again = server.run(project.path, "repro", environ=project.environ)
    assert again.code == 0 and project.calls() == [], again.shown


def test_the_model_itself_knows_a_cut_off(tmp_path: Path) -> None:
    model = Model(dict.fromkeys(SOURCES, 1), {"s0": (0, ("x0",)), "s1": (0, ("s0.out",))})
    assert model.bring_up_to_date()[0] == {"s0", "s1"}
    model.sources["x0"] = 2
    assert model.bring_up_to_date()[0] == {"s0"}
    model.sources["x0"] = 1
    assert model.bring_up_to_date()[0] == set()
