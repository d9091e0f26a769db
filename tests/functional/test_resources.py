"""How many steps run at once, which first, and with what."""

from __future__ import annotations

import time
from pathlib import Path

from tests.functional.command import Project, new_project

LIVE = "echo +{name} >> $RAN; sleep {seconds}; echo -{name} >> $RAN"


def step(name: str, *, seconds: float = 0.5, rest: str = "") -> str:
    return f'[step.{name}]\nrun = "{LIVE.format(name=name, seconds=seconds)}"\n{rest}\n'


def most_at_once(project: Project) -> int:
    """Count, from what steps wrote at their start and end, how many ran at the same time at most."""
    now = most = 0
    for line in project.calls():
        now += 1 if line.startswith("+") else -1
        most = max(most, now)
    return most


def test_jobs_bound_how_many_run_at_once(tmp_path: Path) -> None:
    project = new_project(tmp_path, "".join(step(name) for name in "abcd"))
    project.repro("-j", "1")
    assert most_at_once(project) == 1
    project.repro("-f", "-j", "2")
    assert most_at_once(project) == 2
    project.repro("-f", "-j", "4")
    assert most_at_once(project) == 4


def test_a_step_takes_the_cpus_it_declares(tmp_path: Path) -> None:
    steps = [step(name, rest="resources = { cpus = 2 }") for name in "abc"]
    project = new_project(tmp_path, "".join(steps))
    project.repro("-j", "4")
    assert most_at_once(project) == 2


def test_a_step_that_wants_more_cpus_than_there_are_runs_alone(tmp_path: Path) -> None:
    project = new_project(tmp_path, step("a", rest="resources = { cpus = 64 }") + step("b"))
    project.repro("-j", "2")
    assert most_at_once(project) == 1


def test_memory_is_respected(tmp_path: Path) -> None:
    steps = [step(name, rest='resources = { cpus = 0.1, memory = "1000TiB" }') for name in "abc"]
    project = new_project(tmp_path, "".join(steps))
    project.repro("-j", "4")
    assert most_at_once(project) == 1


def test_each_step_has_gpus_of_its_own(tmp_path: Path) -> None:
    run = "echo $CUDA_VISIBLE_DEVICES > gpu-{name}; sleep 0.4"
    steps = [
        f'[step.{name}]\nrun = "{run.format(name=name)}"\noutputs = ["gpu-{name}"]\nresources = {{ gpus = {count} }}\n'
        for name, count in (("a", 2), ("b", 1), ("c", 1))
    ]
    project = new_project(tmp_path, "".join(steps))
    project.repro("-j", "8", environ={"CUDA_VISIBLE_DEVICES": "4,5,6,GPU-7f"})
    given = [project.read(f"gpu-{name}").strip().split(",") for name in "abc"]
    assert [len(names) for names in given] == [2, 1, 1]
    assert sorted(name for names in given for name in names) == ["4", "5", "6", "GPU-7f"]


def test_steps_wait_for_a_free_gpu(tmp_path: Path) -> None:
    project = new_project(tmp_path, "".join(step(name, rest="resources = { gpus = 1 }") for name in "abc"))
    project.repro("-j", "8", environ={"CUDA_VISIBLE_DEVICES": "0"})
    assert most_at_once(project) == 1


def test_a_step_without_gpus_keeps_the_users_variable(tmp_path: Path) -> None:
    project = new_project(tmp_path, '[step.a]\nrun = "echo $CUDA_VISIBLE_DEVICES > out"\noutputs = ["out"]\n')
    project.repro(environ={"CUDA_VISIBLE_DEVICES": "3"})
    assert project.read("out") == "3\n"


CRITICAL = """
[step.short]
run = "echo short >> $RAN; sleep 0.2"
[step.first]
run = "echo first >> $RAN; echo 1 > one"
outputs = ["one"]
[step.second]
run = "echo second >> $RAN; echo 2 > two"
inputs = ["one"]
outputs = ["two"]
[step.third]
run = "echo third >> $RAN"
inputs = ["two"]
"""


def test_the_longest_path_starts_first(tmp_path: Path) -> None:
    project = new_project(tmp_path, CRITICAL)
    project.repro("-j", "1")
    assert project.calls()[0] == "first"


def test_what_took_long_before_starts_first(tmp_path: Path) -> None:
    project = new_project(tmp_path, step("quick", seconds=0) + step("slow", seconds=0.4))
    project.repro("-j", "1")
    assert project.calls()[0] == "+quick"
    project.repro("-f", "-j", "1")
    assert project.calls()[0] == "+slow"


def test_after_is_order_alone(tmp_path: Path) -> None:
    manifest = step("late", rest='after = ["early"]') + step("early")
    project = new_project(tmp_path, manifest)
    project.repro("-j", "4")
    assert project.calls() == ["+early", "-early", "+late", "-late"]
    project.write("gitml.toml", manifest.replace('after = ["early"]', ""))
    assert project.repro().ran == []


def test_a_wide_pipeline_takes_no_longer_than_its_work(tmp_path: Path) -> None:
    project = new_project(tmp_path, "".join(step(f"s{n}", seconds=0.5) for n in range(8)))
    began = time.monotonic()
    project.repro("-j", "8")
    assert time.monotonic() - began < 2.5
