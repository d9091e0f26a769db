"""Whatever goes wrong, what was there before stays: previous outputs, edits by hand, the cache and the locks."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from tests.functional.command import Project, listing, new_project

ONE = '[step.a]\nrun = "sh make.sh"\ninputs = ["x"]\noutputs = ["out", "folder"]\n'
GOOD = "echo a >> $RAN; cat x > out; mkdir folder; cat x > folder/f; echo said it\n"


@pytest.fixture
def one(tmp_path: Path) -> Project:
    project = new_project(tmp_path, ONE, x="first", **{"make.sh": GOOD})
    project.repro()
    project.calls()
    return project


def failed(project: Project) -> Path:
    return project.machine / "failed" / "a"


def test_a_failed_step_leaves_the_previous_outputs_in_place(one: Project) -> None:
    before = listing(one.path, without=(".git/", ".git"))
    one.write("make.sh", "echo partial > out; mkdir folder; echo partial > folder/g; exit 3")
    called = one.repro(code=1)
    one.write("make.sh", GOOD)
    assert listing(one.path, without=(".git/", ".git")) == before
    assert one.repro().outcomes == {"a": "fresh"}
    assert (failed(one) / "out").read_text() == "partial\n"
    assert (failed(one) / "folder" / "g").read_text() == "partial\n"
    assert str(failed(one)) in " ".join(called.settled("a")["notes"])
    assert called.settled("a")["text"] == "failed  exit 3"


def test_the_last_partial_outputs_replace_older_ones(one: Project) -> None:
    one.write("make.sh", "echo 1 > out; mkdir folder; exit 3")
    one.repro(code=1)
    one.write("make.sh", "echo 2 > out; exit 3")
    one.repro(code=1)
    assert [path.name for path in failed(one).iterdir()] == ["out"]
    assert (failed(one) / "out").read_text() == "2\n"


def test_a_step_that_does_not_write_its_output_fails(one: Project) -> None:
    one.write("make.sh", "echo new > out")
    called = one.repro(code=1)
    assert called.settled("a")["text"] == "failed  output folder was not written"
    assert one.read("out") == "first"
    assert (failed(one) / "out").read_text() == "new\n"


def test_a_step_that_is_killed_leaves_the_previous_outputs(one: Project) -> None:
    one.write("make.sh", "echo partial > out; kill -9 $$")
    called = one.repro(code=1)
    assert "137" in called.settled("a")["text"]
    assert one.read("out") == "first"
    assert (failed(one) / "out").read_text() == "partial\n"


def test_a_step_that_runs_out_of_time_is_ended_with_its_children(tmp_path: Path) -> None:
    manifest = '[step.a]\nrun = "echo partial > out; sleep 71 & sleep 71; wait"\noutputs = ["out"]\ntimeout = "0.5s"\n'
    project = new_project(tmp_path, manifest)
    began = time.monotonic()
    called = project.repro(code=1)
    assert time.monotonic() - began < 8
    assert called.settled("a")["text"] == "failed  timed out after 0.5 s"
    assert (project.machine / "failed" / "a" / "out").read_text() == "partial\n"
    assert not project.exists("out")


def test_the_last_lines_of_the_log_are_shown(one: Project) -> None:
    one.write("make.sh", "echo something is wrong; exit 3")
    called = one.gitml("repro", "-q", code=1)
    assert "something is wrong" in called.stderr
    assert called.stdout == ""


def test_an_output_edited_by_hand_is_rescued_when_it_is_restored(one: Project) -> None:
    one.write("out", "precious work")
    called = one.repro()
    assert called.restored == ["a"]
    assert one.read("out") == "first"
    (rescued,) = called.settled("a")["rescued"]
    assert rescued["path"] == "out"
    assert Path(rescued["kept"]).read_text() == "precious work"
    assert Path(rescued["kept"]).is_relative_to(one.machine / "rescued")


def test_the_message_tells_where_the_edited_output_is(one: Project) -> None:
    one.write("out", "precious work")
    called = one.gitml("repro")
    (kept,) = (one.machine / "rescued").rglob("out")
    assert str(kept) in called.stdout + called.stderr


def test_an_output_edited_by_hand_is_rescued_when_its_step_runs(one: Project) -> None:
    one.write("folder/f", "precious work")
    one.write("folder/g", "more of it")
    one.write("x", "second")
    called = one.repro()
    assert called.ran == ["a"]
    (rescued,) = called.settled("a")["rescued"]
    assert rescued["path"] == "folder"
    assert {p.name: p.read_text() for p in Path(rescued["kept"]).iterdir()} == {"f": "precious work", "g": "more of it"}
    assert one.read("folder/f") == "second"


def test_a_file_that_was_there_before_the_first_run_is_rescued(tmp_path: Path) -> None:
    project = new_project(tmp_path, ONE, x="first", **{"make.sh": GOOD, ".gitignore": "out\n"})
    project.write("out", "made by hand")
    called = project.repro()
    (rescued,) = called.settled("a")["rescued"]
    assert Path(rescued["kept"]).read_text() == "made by hand"


def test_an_edited_output_stays_when_its_step_fails(one: Project) -> None:
    one.write("out", "precious work")
    one.write("make.sh", "echo partial > out; exit 3")
    one.repro(code=1)
    assert one.read("out") == "precious work"


def test_two_edits_are_both_rescued(one: Project) -> None:
    for text in ("one", "two"):
        one.write("out", text)
        one.repro()
    assert {path.read_text() for path in (one.machine / "rescued").rglob("out")} == {"one", "two"}


def test_outputs_that_equal_their_record_are_not_rescued(one: Project) -> None:
    one.write("x", "second")
    assert one.repro().settled("a")["rescued"] == []
    assert not (one.machine / "rescued").exists()


def test_git_clean_deletes_no_cache(one: Project) -> None:
    one.commit("with locks")
    one.repo.git("clean", "-fdxq")
    assert not one.exists("out")
    assert one.repro().restored == ["a"]
    assert one.calls() == []


def test_outputs_are_ignored_by_git(one: Project) -> None:
    assert one.repo.git("status", "--porcelain") == "?? .gitml/"


def test_a_command_cannot_write_through_an_output_into_the_cache(tmp_path: Path) -> None:
    manifest = '[step.a]\nrun = "cat x >> out"\ninputs = ["x"]\noutputs = ["out"]\n'
    project = new_project(tmp_path, manifest, x="1")
    project.repro()
    project.write("x", "2")
    project.repro()
    assert project.read("out") == "2"
    project.write("x", "1")
    assert project.repro().restored == ["a"]
    assert project.read("out") == "1"


def test_an_input_that_changes_while_its_step_runs_taints_the_result(one: Project) -> None:
    one.write("make.sh", GOOD + "printf changed > x\n")
    called = one.repro(code=1)
    event = called.settled("a")
    assert event["text"] == "failed  x changed while it ran"
    assert "gitml accept " + event["run"]["id"] in " ".join(event["notes"])
    assert one.read("out") == "first"
    one.write("make.sh", GOOD)
    assert one.repro().ran == ["a"]
    assert one.read("out") == "changed"


def test_a_tainted_result_is_never_served(one: Project) -> None:
    one.write("make.sh", GOOD + "sleep 0.05; [ -e again ] || { touch again; printf first > x; }\n")
    one.repro(code=1)  # the same bytes with new times: what was read is not known
    one.calls()
    assert one.repro().ran == one.calls() == ["a"]


def test_code_that_changes_while_its_step_runs_taints_the_result(one: Project) -> None:
    one.write("make.sh", GOOD + "echo '# later' >> make.sh\n")
    assert one.repro(code=1).settled("a")["text"] == "failed  make.sh changed while it ran"
    assert one.read("out") == "first"


def test_a_step_that_writes_beside_its_input_is_not_tainted(tmp_path: Path) -> None:
    manifest = '[step.a]\nrun = "cat data/x > data/out"\ninputs = ["data/x"]\noutputs = ["data/out"]\n'
    project = new_project(tmp_path, manifest, data__x="1")
    assert project.repro().ran == ["a"]
    assert project.repro().ran == []


def test_a_retry_runs_again_after_a_pause_from_a_clean_start(tmp_path: Path) -> None:
    manifest = '[step.a]\nrun = "sh make.sh"\noutputs = ["out"]\nretries = 2\n'
    make = "date +%s.%N >> $RAN; [ ! -e out ] || exit 9; echo x > out; [ $(wc -l < $RAN) -ge 2 ]\n"
    project = new_project(tmp_path, manifest, **{"make.sh": make})
    called = project.repro()
    first, second = map(float, project.calls())
    assert second - first >= 0.9
    assert called.ran == ["a"]


def test_a_step_that_fails_all_its_attempts_says_how_many(tmp_path: Path) -> None:
    project = new_project(tmp_path, '[step.a]\nrun = "echo a >> $RAN; exit 5"\noutputs = ["o"]\nretries = 1\n')
    assert project.repro(code=1).settled("a")["text"] == "failed  exit 5 after 2 attempts"
    assert project.calls() == ["a", "a"]


RESUME = """
[params]
n = 1
[step.a]
run = "sh make.sh"
params = ["n"]
outputs = [{ path = "ckpt", resume = true }, "out"]
"""
RESUMING = "echo start $(cat ckpt/n) >> $RAN; mkdir -p ckpt; echo 5 > ckpt/n; [ -e $HOME/go ] || exit 1; echo 1 > out\n"


def test_a_checkpoint_is_handed_to_the_next_attempt_of_the_same_key(tmp_path: Path) -> None:
    project = new_project(tmp_path, RESUME, **{"make.sh": RESUMING})
    project.repro(code=1)
    project.repro(code=1)
    Path(project.environ["HOME"], "go").touch()
    project.repro()
    assert project.calls() == ["start", "start 5", "start 5"]


def test_a_checkpoint_is_not_handed_to_another_key(tmp_path: Path) -> None:
    project = new_project(tmp_path, RESUME, **{"make.sh": RESUMING})
    project.repro(code=1)
    project.write("gitml.toml", RESUME.replace("n = 1", "n = 2"))
    project.repro(code=1)
    assert project.calls() == ["start", "start"]


def test_a_checkpoint_that_failed_again_without_changing_is_not_lost(tmp_path: Path) -> None:
    project = new_project(tmp_path, RESUME, **{"make.sh": RESUMING})
    project.repro(code=1)
    project.write("make.sh", RESUMING)  # the same bytes, so the same key
    for _ in range(2):
        project.repro(code=1)
        assert (project.machine / "failed" / "a" / "ckpt" / "n").read_text() == "5\n"


def test_secrets_are_nowhere(tmp_path: Path) -> None:
    manifest = '[step.a]\nrun = "echo token is $TOKEN; echo 1 > out"\noutputs = ["out"]\nsecrets = ["TOKEN"]\n'
    project = new_project(tmp_path, manifest)
    secret = "s3cr3t-value-of-mine"
    shown = project.gitml("repro", environ={"TOKEN": secret})
    assert secret not in shown.stdout + shown.stderr
    forced = project.repro("-f", environ={"TOKEN": secret})
    assert secret not in forced.stdout + forced.stderr
    holders = [p for p, (_, data) in listing(project.path).items() if secret.encode() in data]
    assert holders == []
    logs = [data for p, (_, data) in listing(project.cache).items() if b"token is ***" in data]
    assert logs, "the log itself is kept"


def test_secrets_are_not_in_the_shown_tail_of_a_failure(tmp_path: Path) -> None:
    manifest = '[step.a]\nrun = "echo token is $TOKEN; exit 1"\noutputs = ["out"]\nsecrets = ["TOKEN"]\n'
    project = new_project(tmp_path, manifest)
    for args in (["repro"], ["repro", "-q"], ["repro", "--json"]):
        called = project.gitml(*args, code=1, environ={"TOKEN": "s3cr3t-value"})
        assert "s3cr3t-value" not in called.stdout + called.stderr


def test_another_secret_does_not_change_the_key(tmp_path: Path) -> None:
    manifest = '[step.a]\nrun = "echo 1 > out"\noutputs = ["out"]\nsecrets = ["TOKEN"]\n'
    project = new_project(tmp_path, manifest)
    project.repro(environ={"TOKEN": "one"})
    assert project.repro(environ={"TOKEN": "two"}).ran == []


def test_the_log_of_a_run_is_an_object(one: Project) -> None:
    one.write("x", "second")
    run = one.repro().settled("a")["run"]
    digest = run["log"].removeprefix("blake3:")
    assert (one.cache / "objects" / digest[:2] / digest[2:]).read_text() == "said it\n"


def test_nothing_is_left_over_after_a_run(one: Project) -> None:
    one.write("x", "second")
    one.repro()
    one.write("make.sh", "exit 1")
    one.repro(code=1)
    for name in ("inflight", "aside"):
        folder = one.machine / name
        assert not folder.exists() or list(folder.iterdir()) == []
    assert [p.name for p in (one.machine / "logs").iterdir() if p.name != "no-params.json"] == []
    assert list((one.cache / "tmp").iterdir()) == []
    assert [name for name in os.listdir(one.path) if name.startswith(".gitml-")] == []


def test_a_leftover_process_of_a_step_is_ended(tmp_path: Path) -> None:
    manifest = '[step.a]\nrun = "(sleep 1; echo late >> out) & echo 1 > out"\noutputs = ["out"]\n'
    project = new_project(tmp_path, manifest)
    project.repro()
    time.sleep(1.3)
    assert project.read("out") == "1\n"
    assert project.states() == {"a": "fresh"}


def test_a_merge_conflict_in_a_lock_is_resolved_by_running(one: Project) -> None:
    lock = one.read(".gitml/lock/a.json")
    one.write(".gitml/lock/a.json", f"<<<<<<< ours\n{lock}=======\n{lock}>>>>>>> theirs\n")
    assert one.states() == {"a": "conflicted"}
    one.repro()
    assert one.read(".gitml/lock/a.json") == lock
    assert one.calls() == []


def test_an_output_that_became_a_link_to_elsewhere_is_not_written_through(one: Project, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "f").write_text("not mine")
    for path in (one.path / "folder").iterdir():
        path.unlink()
    (one.path / "folder").rmdir()
    (one.path / "folder").symlink_to(outside)
    one.repro()
    assert (outside / "f").read_text() == "not mine"
    assert not (one.path / "folder").is_symlink()
    assert one.read("folder/f") == "first"


def test_the_snapshot_is_the_tree_that_the_step_ran_from(one: Project) -> None:
    one.write("make.sh", GOOD + "# changed, not committed\n")
    head = one.repo.git("rev-parse", "HEAD")
    status = one.repo.git("status", "--porcelain")
    snapshot = one.repro().settled("a")["run"]["snapshot"]
    assert snapshot != head
    assert one.repo.git("rev-parse", f"{snapshot}^") == head
    assert one.repo.git("show", f"{snapshot}:make.sh") == one.read("make.sh").rstrip("\n")
    assert one.repo.git("rev-parse", "HEAD") == head
    assert one.repo.git("status", "--porcelain") == status


def test_the_lock_says_nothing_of_time_or_machine(one: Project, tmp_path: Path) -> None:
    first = one.read(".gitml/lock/a.json")
    other = new_project(tmp_path / "other", ONE, x="first", **{"make.sh": GOOD})
    other.repro()
    assert other.read(".gitml/lock/a.json") == first
    assert set(json.loads(first)) == {"format", "key", "recipe", "outputs"}


def test_an_output_that_cannot_be_kept_fails_its_step(one: Project) -> None:
    one.write("make.sh", "mkdir folder; mkfifo folder/pipe; echo new > out")
    called = one.repro(code=1)
    assert called.settled("a")["text"] == "failed  folder/pipe is not a file, folder or symlink"
    assert str(failed(one)) in " ".join(called.settled("a")["notes"])
    assert one.read("out") == one.read("folder/f") == "first"
    assert (failed(one) / "out").read_text() == "new\n"
