"""Files that are odd, or that change under gitml's hands: each time one clear error or the right thing, and no harm.

After each of them the next command just works.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.functional.command import GITML, LONGEST, Called, Project, ended, listing, new_project
from tests.functional.meddling import meddled

STEP = """\
[step.count]
run = "ls data | wc -l > count.txt"
inputs = ["data"]
outputs = ["count.txt"]

[step.copy]
run = "sh make.sh"
inputs = ["make.sh"]
outputs = ["out"]
"""
BIG = 3 << 20
"""Bytes of a file that is read in more than one piece."""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = new_project(tmp_path, STEP)
    made.write("data/plain.txt", "plain\n")
    made.write("make.sh", "mkdir -p out && echo made > out/made.txt\n")
    made.commit("start")
    made.repo.git("rm", "-q", "-r", "--cached", "data")
    made.repo.git("commit", "-q", "-m", "data is no longer Git's")
    return made


def pointers(project: Project) -> list[str]:
    return sorted(path.name for path in (project.path / ".gitml/sources").rglob("*.json"))


def refused(called: Called, *words: str) -> None:
    """One error, that names what it is about; of `repro`, in the line of its step."""
    assert called.code in (1, 2, 5), called
    shown = called.stdout if called.args[0] == "repro" else called.stderr
    assert shown.count("failed" if called.args[0] == "repro" else "error:") == 1, called
    for word in words:
        assert word in shown, called


def works_after(project: Project) -> None:
    """The next commands do what they are for."""
    project.gitml("add", "data")
    wanted = listing(project.path / "data")
    shutil.rmtree(project.path / "data")
    project.gitml("checkout", "data")
    assert without_modes(listing(project.path / "data")) == without_modes(wanted)
    assert json.loads(project.gitml("verify", "--json").stdout)["damaged"] == []


def without_modes(found: dict[str, tuple[int, bytes]]) -> dict[str, tuple[int, bytes]]:
    return {path: (stat.S_IFMT(mode) | (mode & stat.S_IXUSR), data) for path, (mode, data) in found.items()}


class TestChangesWhileItIsAdded:
    @pytest.mark.parametrize("size", [10, 200_000, BIG])
    @pytest.mark.parametrize("many", [0, 300])
    def test_a_file_that_grows(self, project: Project, size: int, many: int) -> None:
        for number in range(many):
            project.write(f"data/{number}.txt", f"{number}\n")
        project.write("data/growing.bin", b"x" * size)
        program = """
def grow(path):
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(descriptor, b"more")
    os.close(descriptor)

after_read("growing.bin", grow)
"""
        refused(
            meddled(project, program, "add", "data", code=None), "data/growing.bin", "changes while it is being read"
        )
        assert pointers(project) == []
        works_after(project)

    @pytest.mark.parametrize("size", [10, BIG])
    def test_a_file_that_is_rewritten_once_is_read_again_or_refused(self, project: Project, size: int) -> None:
        project.write("data/b.bin", b"x" * size)
        program = """
def rewrite(path):
    descriptor = os.open(path, os.O_WRONLY)
    os.write(descriptor, b"new!")
    os.close(descriptor)

after_read("b.bin", once(rewrite))
"""
        called = meddled(project, program, "add", "data", code=None)
        if called.code:
            refused(called, "data/b.bin")
            assert pointers(project) == []
        works_after(project)
        assert (project.path / "data/b.bin").read_bytes() == b"new!" + b"x" * (size - 4)

    def test_a_file_that_vanishes(self, project: Project) -> None:
        project.write("data/gone.bin", "gone soon\n")
        program = 'before(lambda event, path, args: path.endswith("gone.bin"), lambda event, path: gone())\n'
        program = f"gone = once(lambda: os.unlink({str(project.path / 'data/gone.bin')!r}))\n" + program
        called = meddled(project, program, "add", "data", code=None)
        assert not project.exists("data/gone.bin")
        if called.code:
            refused(called, "gone.bin")
            assert pointers(project) == []
        works_after(project)

    def test_a_folder_that_vanishes(self, project: Project) -> None:
        project.write("data/deep/a.txt", "a\n")
        target = str(project.path / "data/deep")
        program = f"""
import shutil
gone = once(lambda: shutil.rmtree({target!r}))
before(lambda event, path, args: path.endswith("deep"), lambda event, path: gone())
"""
        called = meddled(project, program, "add", "data", code=None)
        assert not project.exists("data/deep")
        if called.code:
            refused(called, "deep")
            assert pointers(project) == []
        works_after(project)

    def test_a_single_file_that_vanishes(self, project: Project) -> None:
        full = project.write("single.bin", "x" * 1000)
        program = f"""
gone = once(lambda: os.unlink({str(full)!r}))
before(lambda event, path, args: event == "open" and path.endswith("single.bin"), lambda event, path: gone())
"""
        refused(meddled(project, program, "add", "single.bin", code=None), "single.bin")
        assert pointers(project) == []
        works_after(project)

    def test_an_input_that_grows_while_a_step_is_judged(self, project: Project) -> None:
        project.write("data/growing.bin", b"x" * 1000)
        program = """
def grow(path):
    with open(path, "ab", buffering=0) as file:
        file.write(b"more")

after_read("growing.bin", grow)
"""
        refused(meddled(project, program, "repro", "count", code=None), "data/growing.bin")
        assert not project.exists("count.txt")
        assert project.repro("count").ran == ["count"]


class TestNoFiles:
    @pytest.fixture(params=["pipe", "socket", "device"])
    def odd(self, request: pytest.FixtureRequest) -> Callable[[Path], None]:
        def pipe(path: Path) -> None:
            os.mkfifo(path)

        def listening(path: Path) -> None:
            short = os.open(path.parent, os.O_RDONLY)
            with socket.socket(socket.AF_UNIX) as one:
                one.bind(f"/proc/self/fd/{short}/{path.name}")
            os.close(short)

        def device(path: Path) -> None:
            if os.geteuid() != 0:
                pytest.skip("only root makes devices")
            os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 3))

        made: dict[str, Callable[[Path], None]] = {"pipe": pipe, "socket": listening, "device": device}
        return made[str(request.param)]

    def test_in_a_source(self, project: Project, odd: Callable[[Path], None]) -> None:
        odd(project.path / "data/odd")
        refused(project.gitml("add", "data", code=None), "data/odd")
        assert pointers(project) == []
        (project.path / "data/odd").unlink()
        works_after(project)

    def test_as_a_source(self, project: Project, odd: Callable[[Path], None]) -> None:
        odd(project.path / "odd")
        refused(project.gitml("add", "odd", code=None), "odd")
        works_after(project)

    def test_in_an_input(self, project: Project, odd: Callable[[Path], None]) -> None:
        odd(project.path / "data/odd")
        refused(project.gitml("repro", "count", code=None), "data/odd")
        (project.path / "data/odd").unlink()
        assert project.repro("count").ran == ["count"]

    def test_in_an_output(self, project: Project) -> None:
        project.write("make.sh", "mkdir -p out && mkfifo out/odd\n")
        called = project.gitml("repro", "copy", code=1)
        assert "out/odd" in called.stdout + called.stderr
        assert not project.exists("out")
        project.write("make.sh", "mkdir -p out && echo fine > out/odd\n")
        assert project.repro("copy").ran == ["copy"]

    def test_over_a_source_that_is_checked_out(self, project: Project, odd: Callable[[Path], None]) -> None:
        project.gitml("add", "data")
        shutil.rmtree(project.path / "data")
        odd(project.path / "data")
        called = project.gitml("checkout", "data", code=None)
        if called.code:
            refused(called, "data")
            (project.path / "data").unlink()
            project.gitml("checkout", "data")
        assert project.read("data/plain.txt") == "plain\n"


def gitml_without_privileges(project: Project, *args: str) -> Called:
    """Run `gitml` so that the permissions of files hold for it, also where the tests run as root."""
    drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"] if os.geteuid() == 0 else []
    if drop and shutil.which("setpriv") is None:
        pytest.skip("root cannot be kept from reading here")
    done = subprocess.run(
        [*drop, GITML, *args],
        cwd=project.path,
        env=project.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LONGEST,
        check=False,
    )
    return ended(args, done.returncode, done.stdout, done.stderr, None)


class TestPermissions:
    def test_a_file_that_may_not_be_read(self, project: Project) -> None:
        project.write("data/secret.txt", "secret\n").chmod(0)
        refused(gitml_without_privileges(project, "add", "data"), "data/secret.txt", "Permission denied")
        assert pointers(project) == []
        (project.path / "data/secret.txt").chmod(0o600)
        works_after(project)

    def test_a_folder_that_may_not_be_read(self, project: Project) -> None:
        project.write("data/closed/a.txt", "a\n")
        (project.path / "data/closed").chmod(0)
        called = gitml_without_privileges(project, "add", "data")
        (project.path / "data/closed").chmod(0o755)
        refused(called, "data/closed", "Permission denied")
        assert pointers(project) == []
        works_after(project)

    def test_an_input_that_may_not_be_read(self, project: Project) -> None:
        project.write("data/secret.txt", "secret\n").chmod(0)
        refused(gitml_without_privileges(project, "repro", "count"), "data/secret.txt", "Permission denied")
        (project.path / "data/secret.txt").chmod(0o600)
        assert project.repro("count").ran == ["count"]

    def test_a_source_in_a_folder_that_may_not_be_written(self, project: Project) -> None:
        project.write("data/deep/a.txt", "a\n")
        project.gitml("add", "data/deep/a.txt")
        (project.path / "data/deep/a.txt").unlink()
        (project.path / "data/deep").chmod(0o555)
        called = gitml_without_privileges(project, "checkout", "data/deep/a.txt")
        (project.path / "data/deep").chmod(0o755)
        refused(called, "Permission denied")
        project.gitml("checkout", "data/deep/a.txt")
        assert project.read("data/deep/a.txt") == "a\n"

    def test_an_output_that_may_not_be_read(self, project: Project) -> None:
        project.write("make.sh", "mkdir -p out && echo x > out/x && chmod 0 out/x\n")
        called = gitml_without_privileges(project, "repro", "copy")
        assert called.code == 1
        assert "out/x" in called.stdout + called.stderr
        project.write("make.sh", "mkdir -p out && echo fine > out/x\n")
        assert project.repro("copy").ran == ["copy"]


class TestSymlinks:
    @pytest.mark.parametrize("text", ["loop", "../../elsewhere", "/etc/passwd", "../../../../../../../etc/passwd"])
    def test_a_link_in_a_source(self, project: Project, text: str) -> None:
        """Within the project it is kept as it is; out of it, it is refused."""
        (project.path / "data/loop").symlink_to(text)
        called = project.gitml("add", "data", code=None)
        if text == "loop":
            assert called.code == 0, called
        else:
            refused(called, "data/loop", "outside the project")
            assert pointers(project) == []
            (project.path / "data/loop").unlink()
        works_after(project)

    def test_a_link_as_a_source(self, project: Project, tmp_path: Path) -> None:
        (project.path / "link").symlink_to("data")
        refused(project.gitml("add", "link", code=None), "link", "symlink")
        (tmp_path / "outside").mkdir()
        (tmp_path / "outside/a.txt").write_text("theirs\n")
        (project.path / "out-link").symlink_to(tmp_path / "outside")
        refused(project.gitml("add", "out-link/a.txt", code=None), "out-link")
        assert pointers(project) == []
        works_after(project)

    def test_a_link_that_leaves_the_project_in_an_output(self, project: Project) -> None:
        project.write("make.sh", "mkdir -p out && ln -s ../../outside out/link\n")
        called = project.gitml("repro", "copy", code=1)
        assert "out/link" in called.stdout + called.stderr
        project.write("make.sh", "mkdir -p out && ln -s made.txt out/link && echo x > out/made.txt\n")
        assert project.repro("copy").ran == ["copy"]

    def test_a_source_whose_parent_became_a_link(self, project: Project, tmp_path: Path) -> None:
        project.write("data/deep/a.txt", "a\n")
        project.gitml("add", "data/deep")
        shutil.rmtree(project.path / "data")
        outside = tmp_path / "outside"
        outside.mkdir()
        (project.path / "data").symlink_to(outside)
        refused(project.gitml("checkout", "data/deep", code=None), "data")
        assert list(outside.iterdir()) == []
        (project.path / "data").unlink()
        project.gitml("checkout", "data/deep")
        assert project.read("data/deep/a.txt") == "a\n"


NAMES = {
    "newline": b"new\nline.txt",
    "tab and quote": b'tab\t"quoted".txt',
    "no UTF-8": b"caf\xe9-\xff\xfe.bin",
    "255 bytes": b"n" * 255,
    "255 bytes of UTF-8": "é".encode() * 127 + b"x",
    "dash": b"--force",
    "glob": b"[*]?.txt",
    "spaces": b"  two  ",
    "control": b"\x01\x1b[31m",
    "backslash": b"back\\slash",
    "percent": b"%2F%00",
}


class TestNames:
    @pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
    def test_in_a_source(self, project: Project, name: bytes) -> None:
        project.write("data/" + os.fsdecode(name), "odd name\n")
        (project.path / "data" / "folder").mkdir()
        project.write("data/folder/" + os.fsdecode(name), "in a folder\n")
        works_after(project)
        assert (project.path / "data" / os.fsdecode(name)).read_text() == "odd name\n"

    @pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
    def test_as_a_source(self, project: Project, name: bytes) -> None:
        path = os.fsdecode(name)
        project.write(path, "odd name\n")
        project.gitml("add", "--", path)
        project.commit("pointer")
        assert path not in project.repo.git("ls-files", "-z").split("\0")
        (project.path / path).unlink()
        project.gitml("checkout", "--", path)
        assert (project.path / path).read_text() == "odd name\n"
        assert json.loads(project.gitml("verify", "--json").stdout)["missing"] == []

    @pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
    def test_in_an_output_and_an_input(self, project: Project, name: bytes) -> None:
        project.write("data/" + os.fsdecode(name), "odd name\n")
        project.write("make.sh", "mkdir -p out && cp data/* out\n")
        project.write("gitml.toml", STEP.replace('["make.sh"]', '["make.sh", "data"]'))
        assert project.repro("copy").ran == ["copy"]
        wanted = listing(project.path / "out")
        assert os.fsdecode(name) in wanted
        shutil.rmtree(project.path / "out")
        assert project.repro("copy").restored == ["copy"]
        assert without_modes(listing(project.path / "out")) == without_modes(wanted)
        assert project.states("copy") == {"copy": "fresh"}

    @pytest.mark.parametrize("pair", [("Readme", "README"), ("caf\u00e9", "cafe\u0301"), ("ﬁ", "fi")])
    def test_two_that_some_file_systems_take_for_one(self, project: Project, pair: tuple[str, str]) -> None:
        for name in pair:
            project.write(f"data/{name}", name)
        if len(os.listdir(project.path / "data")) < 3:
            pytest.skip("this file system is one of them")
        works_after(project)
        assert [project.read(f"data/{name}") for name in pair] == list(pair)

    def test_two_such_sources(self, project: Project) -> None:
        for name in ("Readme", "README"):
            project.write(name, name)
        called = project.gitml("add", "Readme", "README", code=None)
        if called.code:
            refused(called, "README")
        else:
            for name in ("Readme", "README"):
                (project.path / name).unlink()
            project.gitml("checkout", "Readme", "README")
            assert [project.read(name) for name in ("Readme", "README")] == ["Readme", "README"]
        works_after(project)

    def test_a_path_longer_than_the_system_takes(self, project: Project) -> None:
        """Folders within folders, made one from the other: no system call takes the whole path."""
        depth = 25
        here = os.open(project.path / "data", os.O_RDONLY)
        for _ in range(depth):
            os.mkdir("d" * 200, dir_fd=here)
            below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        os.close(os.open("leaf", os.O_WRONLY | os.O_CREAT, dir_fd=here))
        os.close(here)
        called = project.gitml("add", "data", code=None)
        if called.code:
            refused(called, "data/" + "d" * 200)
            assert pointers(project) == []
        shutil.rmtree(project.path / "data/")
        project.write("data/plain.txt", "plain\n")
        works_after(project)

    @pytest.mark.parametrize("name", [".git", ".GIT", ".gitml", "git~1"])
    def test_a_name_that_would_enter_gits_own_folder(self, project: Project, name: str) -> None:
        project.write(f"data/sub/{name}/config", "[core]\n")
        called = project.gitml("add", "data", code=None)
        if called.code:
            refused(called, name)
            assert pointers(project) == []
            shutil.rmtree(project.path / "data/sub")
        project.gitml("add", "data")


RACES = """
import shutil

COUNT, AT, VICTIM, OUTSIDE = 0, int(WORDS[0]), WORDS[1], WORDS[2]


def swap(event, path):
    global COUNT
    COUNT += 1
    if COUNT == AT:
        os.rename(VICTIM, VICTIM + ".was")
        os.symlink(OUTSIDE, VICTIM)


def writes(event, path, args):
    if event == "open":
        return bool(args[2] & (os.O_CREAT | os.O_DIRECTORY)) and ".git/" not in path and "/proc/" not in path
    return ".git/" not in path

if os.path.isdir(VICTIM):
    before(writes, swap)
import atexit
atexit.register(lambda: print("events", COUNT, file=sys.stderr))
"""


class TestRaces:
    """A folder on the way becomes a link out of the project, just before each of the calls that gitml makes."""

    def races(self, project: Project, outside: Path, *args: str) -> Iterator[Called]:
        victim = project.path / "data/deep"
        at = 0
        while True:
            at += 1
            victim.mkdir(parents=True, exist_ok=True)
            called = meddled(project, RACES, *args, words=[str(at), str(victim), str(outside)], code=None)
            yield called
            events = int(called.stderr.rpartition("events ")[2].split()[0])
            if victim.is_symlink():
                victim.unlink()
            shutil.rmtree(victim, ignore_errors=True)
            shutil.rmtree(f"{victim}.was", ignore_errors=True)
            if at > events:
                assert at > 3, "no event was met"
                return

    def test_checkout_writes_nothing_outside(self, project: Project, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "theirs.txt").write_text("theirs\n")
        before = listing(outside)
        project.write("data/deep/inner/a.txt", "a\n")
        project.write("data/deep/inner/b.txt", "b\n")
        project.gitml("add", "data/deep/inner")
        for called in self.races(project, outside, "checkout", "data/deep/inner"):
            assert listing(outside) == before
            if called.code:
                assert called.stderr.count("error:") == 1, called.stderr
        project.gitml("checkout", "data/deep/inner")
        assert project.read("data/deep/inner/a.txt") == "a\n"
        assert json.loads(project.gitml("verify", "--json").stdout)["damaged"] == []

    def test_restoring_an_output_writes_nothing_outside(self, project: Project, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "theirs.txt").write_text("theirs\n")
        before = listing(outside)
        project.write("make.sh", "mkdir -p data/deep/inner && echo a > data/deep/inner/a.txt\n")
        project.write("gitml.toml", STEP.replace('["out"]', '["data/deep/inner"]').replace('inputs = ["data"]\n', ""))
        project.repro("copy")
        shutil.rmtree(project.path / "data/deep")
        for _ in self.races(project, outside, "repro", "copy"):
            assert listing(outside) == before
        assert "copy" not in project.repro("copy", code=0).ran
        assert project.read("data/deep/inner/a.txt") == "a\n"

    def test_add_takes_nothing_from_outside(self, project: Project, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        (outside / "inner").mkdir(parents=True)
        (outside / "inner/a.txt").write_text("a secret of somebody else\n")
        at = 0
        while True:
            at += 1
            project.write("data/deep/inner/a.txt", "a\n")
            victim = project.path / "data/deep"
            called = meddled(project, RACES, "add", "data", words=[str(at), str(victim), str(outside)], code=None)
            if victim.is_symlink():
                victim.unlink()
            shutil.rmtree(victim, ignore_errors=True)
            shutil.rmtree(f"{victim}.was", ignore_errors=True)
            stored = [path.read_bytes() for path in (project.cache / "objects").rglob("*") if path.is_file()]
            assert not any(b"secret" in data for data in stored), called
            if at > int(called.stderr.rpartition("events ")[2].split()[0]):
                break
        works_after(project)
