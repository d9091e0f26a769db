"""`gitml update`, and what `gitml repro` downloads: real servers, real processes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gitml.hashing.file import digest_bytes
from gitml.manifest.pointerfile import pointer_path
from tests.functional.command import Project, finish, listing, new_project, wait_until
from tests.functional.killing import FaultServer
from tests.repos import isolated_environ
from tests.servers import WebServer, free_port, s3_server, web_server

DATA = b"x,y\n" * 100_000
NEWER = b"x,y,z\n" * 100_000
PATH = "data/raw.csv"
STEP = f"""
[step.count]
run = "wc -c < {PATH} > out; echo count >> $RAN"
inputs = ["data"]
outputs = ["out"]
"""


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as running:
        running.put("/raw.csv", DATA)
        yield running


def declare(url: str, *, path: str = PATH, **expected: str) -> str:
    return f"[source.{json.dumps(path)}]\nurl = {json.dumps(url)}\n" + "".join(
        f'{name} = "{digits}"\n' for name, digits in expected.items()
    )


@pytest.fixture
def project(tmp_path: Path, web: WebServer) -> Project:
    return new_project(tmp_path, declare(web.url + "/raw.csv") + STEP)


def update(project: Project, *args: str, code: int = 0) -> dict[str, dict[str, Any]]:
    document = json.loads(project.gitml("update", "--json", *args, code=code).stdout)
    assert document["schema"] == "gitml-update/1"
    return {row["path"]: row for row in document["sources"]}


def state(project: Project, *args: str, code: int = 0) -> str:
    (row,) = update(project, *args, code=code).values()
    found: str = row["state"]
    return found


def pointer(project: Project, path: str = PATH) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(project.read(pointer_path(path)))
    return found


def leftovers(project: Project) -> list[Path]:
    """What a failure should not leave."""
    return [*project.cache.glob("tmp/*"), *project.machine.glob("inflight/*"), *project.machine.glob("aside/*")]


# what a download does


def test_fetches_records_and_hides_from_git(project: Project, web: WebServer) -> None:
    (row,) = update(project).values()
    digest = digest_bytes(DATA)
    assert row == {
        "path": PATH,
        "url": web.url + "/raw.csv",
        "state": "new",
        "digest": digest,
        "size": len(DATA),
        "restored": False,
        "rescued": [],
    }
    assert (project.path / PATH).read_bytes() == DATA
    found = pointer(project)
    assert (found["entry"]["digest"], found["url"]) == (digest, web.url + "/raw.csv")
    assert found["etag"] == web.pages["/raw.csv"].tag
    assert project.repo.git("status", "--porcelain") == "?? .gitml/"
    assert leftovers(project) == []


def test_what_is_not_newer_is_not_downloaded(project: Project, web: WebServer) -> None:
    update(project)
    web.asked.clear()
    assert state(project) == "unchanged"
    assert [asked.headers.get("if-none-match") for asked in web.asked] == [pointer(project)["etag"]]
    assert "up to date" in project.gitml("update").stdout


def test_a_newer_version_takes_the_place_of_the_old(project: Project, web: WebServer) -> None:
    update(project)
    project.commit("first")
    web.put("/raw.csv", NEWER)
    assert state(project) == "newer"
    assert (project.path / PATH).read_bytes() == NEWER
    project.repo.git("checkout", "-q", "HEAD", ".gitml")
    project.gitml("checkout")
    assert (project.path / PATH).read_bytes() == DATA
    assert state(project) == "newer"


def test_the_same_bytes_under_another_name_are_no_news(project: Project, web: WebServer) -> None:
    web.put("/raw.csv", DATA, names="dates")
    update(project)
    web.put("/raw.csv", DATA, names="dates", modified=1_800_000_000.0)
    web.asked.clear()
    assert state(project) == "unchanged"
    assert "2027" in pointer(project)["etag"]


def test_a_declared_url_that_changed_is_fetched_anew(project: Project, web: WebServer) -> None:
    update(project)
    project.write("gitml.toml", declare(web.put("/other.csv", NEWER)))
    assert state(project) == "newer"
    assert pointer(project)["url"] == web.url + "/other.csv"
    assert (project.path / PATH).read_bytes() == NEWER


def test_a_lost_file_comes_back_without_a_download(project: Project, web: WebServer) -> None:
    update(project)
    (project.path / PATH).unlink()
    web.asked.clear()
    (row,) = update(project).values()
    assert (row["state"], row["restored"]) == ("unchanged", True)
    assert (project.path / PATH).read_bytes() == DATA
    assert [asked.headers.get("if-none-match") is not None for asked in web.asked] == [True]


def test_a_lost_cache_is_filled_again(project: Project) -> None:
    update(project)
    shutil.rmtree(project.cache)
    (project.path / PATH).unlink()
    assert state(project) == "unchanged"
    assert (project.path / PATH).read_bytes() == DATA


def test_the_old_version_is_stored_before_it_is_replaced(project: Project, web: WebServer) -> None:
    update(project)
    project.commit("first")
    shutil.rmtree(project.cache)
    web.put("/raw.csv", NEWER)
    assert state(project) == "newer"
    project.repo.git("checkout", "-q", "HEAD", ".gitml")
    project.gitml("checkout")
    assert (project.path / PATH).read_bytes() == DATA


@pytest.mark.parametrize(
    "path", ["a b/ö.csv", "new\nline", "n" * 255, "d" * 200 + "/" + "f" * 200, "-x", "UPPER/x.json/y"]
)
def test_any_name_will_do(tmp_path: Path, web: WebServer, path: str) -> None:
    project = new_project(tmp_path, declare(web.url + "/raw.csv", path=path))
    update(project)
    assert (project.path / path).read_bytes() == DATA
    assert "?? .gitml/" in project.repo.git("status", "--porcelain")
    assert "raw" not in project.repo.git("status", "--porcelain")
    assert state(project) == "unchanged"


def test_a_dry_run_asks_and_writes_nothing(project: Project, web: WebServer) -> None:
    assert state(project, "-n") == "new"
    assert not project.exists("data")
    update(project)
    web.asked.clear()
    before = listing(project.path, without=(".git/gitml/state.db",))
    assert state(project, "--dry-run") == "unchanged"
    web.put("/raw.csv", NEWER)
    assert state(project, "--dry-run") == "newer"
    web.put("/raw.csv", DATA, names="nothing")
    assert state(project, "--dry-run") == "unknown"
    assert "may be newer" in project.gitml("update", "-n").stdout
    assert listing(project.path, without=(".git/gitml/state.db",)) == before


# digests of publishers


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("algorithm", ["blake3", "sha256", "md5"])
def test_a_wrong_digest_is_damage_and_nothing_is_recorded(project: Project, web: WebServer, algorithm: str) -> None:
    found = digest_bytes(DATA).hex if algorithm == "blake3" else hashlib.new(algorithm, DATA).hexdigest()
    wrong = "0" * len(found)
    project.write("gitml.toml", declare(web.url + "/raw.csv", **{algorithm: wrong}))
    before = listing(project.path, without=(".git/",))
    called = project.gitml("update", code=5)
    assert f"wrong {algorithm}: expected {wrong}, found {found}" in called.stderr
    assert listing(project.path, without=(".git/",)) == before
    assert list(project.cache.glob("objects/*/*")) == []
    assert leftovers(project) == []


def test_a_file_that_is_here_and_right_is_not_downloaded(project: Project, web: WebServer) -> None:
    project.write("gitml.toml", declare(web.url + "/raw.csv", sha256=sha256(DATA)))
    project.write(PATH, DATA)
    assert state(project) == "new"
    assert state(project) == "unchanged"
    assert web.asked == []
    assert pointer(project)["url"] == web.url + "/raw.csv"
    (project.path / PATH).unlink()
    project.gitml("checkout")
    assert (project.path / PATH).read_bytes() == DATA


def test_a_file_that_is_here_and_wrong_is_not_replaced(project: Project, web: WebServer) -> None:
    project.write("gitml.toml", declare(web.url + "/raw.csv", sha256=sha256(DATA)))
    project.write(PATH, b"precious")
    assert "recorded nowhere" in project.gitml("update", code=2).stderr
    assert project.read(PATH) == "precious"
    assert web.asked == []


def test_a_digest_that_is_declared_later_is_checked(project: Project, web: WebServer) -> None:
    update(project)
    project.write("gitml.toml", declare(web.url + "/raw.csv", sha256=sha256(DATA)))
    assert state(project) == "unchanged"
    project.write("gitml.toml", declare(web.url + "/raw.csv", sha256=sha256(NEWER)))
    assert "wrong sha256" in project.gitml("update", code=5).stderr
    web.put("/raw.csv", NEWER)
    assert state(project) == "newer"


# what must not be lost


def test_an_unsaved_change_is_not_replaced(project: Project, web: WebServer) -> None:
    update(project)
    project.write(PATH, "precious")
    web.put("/raw.csv", NEWER)
    web.asked.clear()
    called = project.gitml("update", code=2)
    assert "recorded nowhere" in called.stderr
    assert "--force" in called.stderr
    assert project.read(PATH) == "precious"
    assert web.asked == []
    (row,) = update(project, "--force").values()
    assert [Path(kept).read_text() for kept in row["rescued"]] == ["precious"]
    assert (project.path / PATH).read_bytes() == NEWER


def test_a_file_that_was_there_before_is_not_replaced(project: Project) -> None:
    project.write(PATH, "precious")
    project.gitml("update", code=2)
    assert project.read(PATH) == "precious"


def test_a_change_that_was_added_can_be_had_again(project: Project, web: WebServer) -> None:
    update(project)
    project.write(PATH, "mine")
    project.gitml("add", PATH)
    project.commit("mine")
    assert state(project) == "newer"
    assert (project.path / PATH).read_bytes() == DATA
    project.repo.git("checkout", "-q", "HEAD", ".gitml")
    project.gitml("checkout")
    assert project.read(PATH) == "mine"


def test_what_git_tracks_is_not_replaced(tmp_path: Path, web: WebServer) -> None:
    project = new_project(tmp_path, declare(web.url + "/raw.csv"), **{"data__raw.csv": "of Git"})
    assert "tracked by Git" in project.gitml("update", code=2).stderr
    assert project.read(PATH) == "of Git"
    assert web.asked == []


@pytest.mark.parametrize("other", ["data", "data/raw.csv/x"])
def test_a_source_in_a_source_is_refused(project: Project, other: str) -> None:
    project.write(other + "/file" if other == "data" else other, "1")
    project.write("gitml.toml", "")
    project.gitml("add", other)
    project.write("gitml.toml", declare("http://127.0.0.1:1/raw.csv"))
    assert f"overlaps {other}" in project.gitml("update", code=2).stderr


def test_a_link_on_the_way_is_not_followed(project: Project, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (project.path / "data").symlink_to(tmp_path / "outside")
    called = project.gitml("update", code=2)
    assert "not a folder" in called.stderr
    assert list((tmp_path / "outside").iterdir()) == []


# several sources, words, errors


def test_one_that_fails_does_not_stop_the_others(project: Project, web: WebServer) -> None:
    names = ["a", "b", "c"]
    project.write("gitml.toml", "".join(declare(web.url + "/" + name, path=name) for name in names))
    web.put("/a", b"a")
    web.put("/c", b"c")
    called = project.gitml("update", code=4)
    assert "404" in called.stderr
    rows = update(project, code=4)
    assert [rows[name]["state"] for name in names] == ["unchanged", "failed", "unchanged"]
    assert rows["b"]["error"]["exit"] == 4
    assert (project.read("a"), project.exists("b"), project.read("c")) == ("a", False, "c")


def test_words_name_sources_and_folders(project: Project, web: WebServer) -> None:
    paths = ["in/a", "in/b", "out/c"]
    project.write("gitml.toml", "".join(declare(web.put("/" + path, b"x"), path=path) for path in paths))
    assert list(update(project, "in")) == ["in/a", "in/b"]
    assert list(update(project, "out/c", "in/a")) == ["out/c", "in/a"]
    assert json.loads(project.gitml("update", "--json", "b", cwd="in").stdout)["sources"][0]["path"] == "in/b"
    assert len(update(project)) == 3


def test_a_word_that_means_nothing(project: Project) -> None:
    called = project.gitml("update", "data/row.csv", code=2)
    assert "did you mean 'data/raw.csv'?" in called.stderr
    project.write("mine", "1")
    project.gitml("add", "mine")
    assert '[source."mine"]' in project.gitml("update", "mine", code=2).stderr
    assert "lies outside" in project.gitml("update", "../x", code=2).stderr


def test_without_declared_sources_there_is_nothing_to_do(project: Project) -> None:
    project.write("gitml.toml", "")
    assert "no source is declared" in project.gitml("update").stdout
    assert project.gitml("update", "-q").stdout == ""


def test_a_server_that_is_away(project: Project) -> None:
    project.write("gitml.toml", declare(f"http://127.0.0.1:{free_port()}/a?sig=hidden"))
    called = project.gitml("update", code=4)
    assert "cannot be reached" in called.stderr
    assert "hidden" not in called.stderr + project.gitml("update", "--json", code=4).stdout


def test_a_clone_cannot_read_this_machine(project: Project) -> None:
    project.write("gitml.toml", declare("file:///etc/passwd") + STEP)
    assert "GITML_ALLOW_PROTOCOL=file" in project.gitml("update", code=2).stderr
    assert "file is not spoken" in project.gitml("repro", code=2).stderr
    assert not project.exists(PATH)


def test_the_user_can_allow_a_protocol(project: Project, tmp_path: Path) -> None:
    (tmp_path / "shared.csv").write_bytes(DATA)
    project.write("gitml.toml", declare((tmp_path / "shared.csv").as_uri()))
    project.gitml("update", environ={"GITML_ALLOW_PROTOCOL": "sftp, file"})
    assert (project.path / PATH).read_bytes() == DATA


def test_another_gitml_at_work_is_told(project: Project, web: WebServer) -> None:
    web.fail("/raw.csv", "stall at 1000")
    first = project.start("update")
    wait_until(lambda: len(web.asked) == 1, what="the first asks")
    assert "being worked on" in project.gitml("update", code=1).stderr
    web.stopping.set()
    finish(first)
    assert (project.path / PATH).read_bytes() == DATA


def test_an_interrupt_leaves_nothing_behind(project: Project, web: WebServer) -> None:
    web.fail("/raw.csv", "stall at 100000")
    running = project.start("update")
    wait_until(lambda: len(web.asked) == 1, what="the server is asked")
    time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    finish(running, code=130)
    assert leftovers(project) == []
    assert state(project) == "new"


# repro


def test_repro_fetches_what_a_step_needs(project: Project, web: WebServer) -> None:
    assert project.repro().ran == ["count"]
    assert project.read("out").strip() == str(len(DATA))
    assert pointer(project)["entry"]["digest"] == digest_bytes(DATA)
    web.asked.clear()
    assert project.repro().ran == []
    assert web.asked == []


def test_repro_fetches_nothing_else(project: Project, web: WebServer) -> None:
    manifest = declare(web.url + "/raw.csv") + declare(web.url + "/gone", path="elsewhere") + STEP
    project.write("gitml.toml", manifest + '[step.other]\nrun = "touch o2"\noutputs = ["o2"]\n')
    project.repro("other")
    assert web.asked == []
    project.repro("count")
    assert [asked.path for asked in web.asked] == ["/raw.csv"]


def test_repro_takes_only_what_is_recorded(project: Project, web: WebServer) -> None:
    project.repro()
    shutil.rmtree(project.cache)
    (project.path / PATH).unlink()
    project.repro()
    assert (project.path / PATH).read_bytes() == DATA
    shutil.rmtree(project.cache)
    (project.path / PATH).unlink()
    web.put("/raw.csv", NEWER)
    called = project.gitml("repro", code=4)
    assert "other content" in called.stderr
    assert f"gitml update {PATH}" in called.stderr
    assert not project.exists(PATH)
    project.gitml("update", PATH)
    assert project.repro().ran == ["count"]
    assert project.read("out").strip() == str(len(NEWER))


def test_repro_does_not_ask_for_what_is_here(project: Project, web: WebServer) -> None:
    project.write(PATH, "mine\n")
    assert project.repro().ran == ["count"]
    assert web.asked == []
    assert project.read("out").strip() == "5"


@pytest.mark.parametrize("in_store", [False, True])
def test_repro_holds_a_pointer_to_the_declared_digest(project: Project, web: WebServer, in_store: bool) -> None:
    """Whoever changes a pointer cannot pass something else for what the publisher signed for."""
    project.gitml("update")
    if not in_store:
        shutil.rmtree(project.cache)
    (project.path / PATH).unlink()
    project.write("gitml.toml", declare(web.url + "/raw.csv", sha256=sha256(NEWER)) + STEP)
    assert "wrong sha256" in project.gitml("repro", code=5).stderr
    assert not project.exists(PATH)
    assert "wrong sha256" in project.gitml("repro", code=5).stderr


def test_an_interrupt_ends_the_wait_of_repro(project: Project, web: WebServer) -> None:
    web.fail("/raw.csv", "stall")
    running = project.start("repro")
    wait_until(lambda: len(web.asked) == 1, what="the server is asked")
    began = time.monotonic()
    running.send_signal(signal.SIGINT)
    finish(running, code=130)
    assert time.monotonic() - began < 10
    assert leftovers(project) == []
    assert project.repro().ran == ["count"]


def test_an_update_makes_steps_stale(project: Project, web: WebServer) -> None:
    project.repro()
    assert project.states() == {"count": "fresh"}
    web.put("/raw.csv", NEWER)
    project.gitml("update")
    assert project.states() == {"count": "stale"}


# S3, as its clients find it


def test_s3_by_the_environment(tmp_path: Path) -> None:
    import s3fs

    with s3_server() as environ, pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        files = s3fs.S3FileSystem(skip_instance_cache=True)
        files.mkdir("bucket")
        files.pipe_file("bucket/raw.csv", DATA)
        project = new_project(tmp_path, declare("s3://bucket/raw.csv"))
        project.environ.update(environ)
        assert state(project) == "new"
        assert (project.path / PATH).read_bytes() == DATA
        assert state(project) == "unchanged"
        files.pipe_file("bucket/raw.csv", NEWER)
        assert state(project) == "newer"
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            del project.environ[name]
        assert "from your environment" in project.gitml("update", code=4).stderr
        files.pipe_file("bucket/raw.csv", DATA, ACL="public-read")
        assert state(project) == "newer"  # without credentials it is asked for as anyone may ask


# crashes


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultServer]:
    with FaultServer(tmp_path_factory.mktemp("faults")) as running:
        yield running


def first(project: Project, web: WebServer) -> None:
    """Nothing was fetched before."""


def again(project: Project, web: WebServer) -> None:
    project.gitml("update")
    web.put("/raw.csv", NEWER)


@pytest.mark.parametrize("fault", ["kill", "EIO", "ENOSPC"])
@pytest.mark.parametrize("prepare", [first, again])
def test_the_next_update_works_after(
    project: Project, web: WebServer, faults: FaultServer, prepare: Callable[[Project, WebServer], None], fault: str
) -> None:
    prepare(project, web)
    template = project.path.with_name("template")
    subprocess.run(["cp", "-a", str(project.path), str(template)], check=True)
    want = web.pages["/raw.csv"].data

    def run(fault: str = "none", at: int = 0) -> Any:
        return faults.run(project.path, "update", environ=project.environ, fault=fault, at=at)

    changes = run().changes
    assert changes > 10
    expected = listing(project.path, without=(".git/",))
    stride = 1 if os.environ.get("GITML_FULL") == "1" else 3 if fault == "kill" else 6
    for at in range(1, changes + 1, stride):
        shutil.rmtree(project.path)
        subprocess.run(["cp", "-a", str(template), str(project.path)], check=True)
        struck = run(fault, at)
        where = f"{fault} at change {at} of {changes}: exit {struck.code}\n{struck.shown}"
        assert "Traceback" not in struck.shown, where
        if fault != "kill" and struck.code:
            assert os.strerror(5 if fault == "EIO" else 28) in struck.shown, where
        after = run()
        assert after.code == 0, f"{where}\nthen: {after.shown}"
        assert (project.path / PATH).read_bytes() == want, where
        assert listing(project.path, without=(".git/",)) == expected, where
        machine = project.path / ".git" / "gitml"
        assert list(machine.glob("inflight/*")) == list(machine.glob("aside/*")) == [], where


def test_a_project_below_the_top(tmp_path: Path, web: WebServer) -> None:
    from tests.repos import new_repo

    repo = new_repo(tmp_path / "repo", environ=isolated_environ(tmp_path / "home"))
    repo.write("sub/gitml.toml", declare(web.url + "/raw.csv"))
    repo.commit()
    project = Project(repo, tmp_path / "ran")
    project.gitml("update", cwd="sub")
    assert (repo.path / "sub" / PATH).read_bytes() == DATA
    assert repo.git("status", "--porcelain") == "?? sub/.gitml/"
