from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gitml.engine.resources import Machine, Pool, visible_gpus
from gitml.engine.schedule import Schedule
from gitml.model.pipeline import Pipeline
from gitml.model.step import Resources, Step
from tests.strategies import patiently


def pipeline(**needs: str) -> Pipeline:
    steps = {name: Step(id=name, name=name) for name in needs}
    return Pipeline(
        files=("gitml.toml",), steps=steps, upstream={n: tuple(above.split()) for n, above in needs.items()}
    )


def drained(schedule: Schedule) -> list[str]:
    order = []
    while (step := schedule.pop()) is not None:
        order.append(step)
        schedule.done(step)
    return order


def test_the_declared_order_where_nothing_else_matters() -> None:
    assert drained(Schedule(pipeline(c="", a="", b=""), "abc", {})) == ["c", "a", "b"]


def test_the_longest_path_first() -> None:
    assert drained(Schedule(pipeline(a="", b="", c="b"), "abc", {}))[0] == "b"
    assert drained(Schedule(pipeline(a="", b="", c="b"), "abc", {"a": 100.0}))[0] == "a"


def test_only_what_is_wanted() -> None:
    assert drained(Schedule(pipeline(a="", b="a", c="b"), "ac", {})) == ["a", "c"]


def test_a_failure_loses_what_needs_it() -> None:
    schedule = Schedule(pipeline(a="", b="a", c="b", d=""), "abcd", {})
    assert schedule.pop() == "a"
    assert schedule.block("a") == ["b", "c"]
    assert drained(schedule) == ["d"]
    assert schedule.remaining == 0


graphs = st.lists(st.sets(st.integers(0, 11)), min_size=1, max_size=12).map(
    lambda rows: {f"s{n}": " ".join(f"s{above}" for above in sorted(row) if above < n) for n, row in enumerate(rows)}
)


@patiently
@given(graphs, st.dictionaries(st.integers(0, 11).map(lambda n: f"s{n}"), st.floats(0, 100)))
def test_every_step_comes_once_and_after_what_it_needs(graph: dict[str, str], durations: dict[str, float]) -> None:
    order = drained(Schedule(pipeline(**graph), graph, durations))
    assert sorted(order) == sorted(graph)
    for step, above in graph.items():
        assert all(order.index(other) < order.index(step) for other in above.split())


@patiently
@given(graphs, st.data())
def test_a_failure_loses_exactly_what_is_below(graph: dict[str, str], data: st.DataObject) -> None:
    failing = data.draw(st.sampled_from(sorted(graph)))
    schedule = Schedule(pipeline(**graph), graph, {})
    lost: set[str] = set()
    done = []
    while (step := schedule.pop()) is not None:
        if step == failing:
            lost.update(schedule.block(step))
        else:
            done.append(step)
            schedule.done(step)
    whole = pipeline(**graph)
    assert lost == {step for step in graph if step != failing and failing in whole.closure([step])}
    assert set(done) == set(graph) - lost - {failing}


def test_a_pool_gives_no_more_than_it_has() -> None:
    pool = Pool(Machine(cpus=2, gpus=("0", "1"), memory=10))
    one = pool.take(Resources(cpus=1.5, gpus=1, memory=6))
    assert one is not None and one.gpus == ("0",)
    assert pool.take(Resources(cpus=1)) is None
    assert pool.take(Resources(cpus=0.5, memory=5)) is None
    two = pool.take(Resources(cpus=0.5, gpus=1, memory=4))
    assert two is not None and two.gpus == ("1",)
    assert not pool.has_cpus
    pool.give_back(one)
    pool.give_back(two)
    whole = pool.take(Resources(cpus=64, gpus=2, memory=1000))
    assert whole is not None and whole.gpus == ("0", "1")


def test_gpus_come_from_the_users_variable() -> None:
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": "3, GPU-1"}) == ("3", "GPU-1")
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": ""}) == visible_gpus({"CUDA_VISIBLE_DEVICES": "-1"}) == ()
