from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from gitml.store.lease import Lease
from tests.functional.test_gc import build, can_be_restored, gc, objects, project_at


class Shared:
    """Two repositories with one cache."""

    def __init__(self, folder: Path) -> None:
        self.projects = [project_at(folder / name) for name in ("a", "b")]
        self.cache = folder / "shared"
        self.cache.mkdir()
        for project in self.projects:
            project.machine.mkdir(exist_ok=True)
            (project.machine / "cache").symlink_to(self.cache)
            with Lease(str(self.cache), user=str(project.machine.parent)).writing():
                pass


def test_a_shared_cache_keeps_what_any_repository_needs(tmp_path: Path) -> None:
    shared = Shared(tmp_path)
    one, two = shared.projects
    build(one, "one")
    build(two, "two")
    assert len(list((shared.cache / "projects").iterdir())) == 2
    gc(one, "--grace", "0")
    assert can_be_restored(two, "two")
    gc(two, "--grace", "0")
    assert can_be_restored(one, "one")


def test_a_repository_that_is_gone_stops_everything_until_it_is_forgotten(tmp_path: Path) -> None:
    shared = Shared(tmp_path)
    one, two = shared.projects
    build(one, "one")
    build(two, "two")
    before = objects(shared.cache)
    shutil.rmtree(two.path)
    called = one.gitml("gc", "--grace", "0", code=1)
    assert f"gitml gc --forget {two.path}/.git" in called.stderr
    assert objects(shared.cache) == before
    one.gitml("gc", "--forget", str(two.path) + "/.git")
    assert gc(one, "--grace", "0")["objects"] > 0
    assert can_be_restored(one, "one")
    assert one.gitml("gc", "--forget", str(two.path), code=2)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_repository_that_is_not_trusted_stops_everything(tmp_path: Path) -> None:
    shared = Shared(tmp_path)
    one, two = shared.projects
    build(one, "one")
    build(two, "two")
    before = objects(shared.cache)
    os.chown(two.path / ".git", 4242, 4242)
    assert "dubious ownership" in one.gitml("gc", "--grace", "0", code=1).stderr
    assert objects(shared.cache) == before
