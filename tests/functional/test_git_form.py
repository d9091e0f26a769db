"""Files that Git holds are digested in the form in which Git stores them."""

from __future__ import annotations

import json
from pathlib import Path

from blake3 import blake3

from tests.functional.command import Project, new_project

READS = '[step.a]\nrun = \'echo a >> "$RAN"; cat in.txt > out\'\ninputs = ["in.txt"]\noutputs = ["out"]\n'


def input_part(project: Project) -> dict[str, str]:
    part: dict[str, str] = json.loads(project.read(".gitml/lock/a.json"))["recipe"]["input:in.txt"]
    return part


def digest(data: bytes) -> str:
    return f"blake3:{blake3(data).hexdigest()}"


def test_line_ends_of_the_worktree_are_not_in_the_key(tmp_path: Path) -> None:
    project = new_project(tmp_path, READS, **{".gitattributes": "*.txt text\n", "in.txt": "one\ntwo\n"})
    project.repro()
    assert input_part(project)["digest"] == digest(b"one\ntwo\n")
    project.write("in.txt", b"one\r\ntwo\r\n")
    assert project.repro().ran == []
    project.write("in.txt", b"one\r\nTWO\r\n")
    assert project.repro().ran == ["a"]
    assert input_part(project)["digest"] == digest(b"one\nTWO\n")


def test_a_filtered_file_is_keyed_by_its_pointer(tmp_path: Path) -> None:
    project = new_project(tmp_path, READS, **{".gitattributes": "*.txt filter=point\n"})
    project.repo.git("config", "filter.point.clean", "sed s/^secret/pointer/")
    project.write("in.txt", "secret 1\n")
    project.commit()
    project.repro()
    assert input_part(project)["digest"] == digest(b"pointer 1\n")


def test_the_index_tells_the_mode_where_the_file_system_does_not(tmp_path: Path) -> None:
    project = new_project(tmp_path, READS)
    project.write("in.txt", "x", executable=True)
    project.commit()
    project.repro()
    assert input_part(project)["mode"] == "executable"
    project.repo.git("config", "core.fileMode", "false")
    (project.path / "in.txt").chmod(0o644)
    assert project.repro().ran == []
    project.repo.git("config", "core.fileMode", "true")
    assert project.repro().ran == ["a"]
    assert input_part(project)["mode"] == "file"
