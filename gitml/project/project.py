"""The composition root: wires configuration, Git, store, views and runner into a project."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterable, Mapping
from functools import partial
from typing import NamedTuple

import xxhash

from gitml.engine.gitform import WorktreeGit
from gitml.engine.installed import site_packages
from gitml.engine.locks import Locks
from gitml.engine.observe import Observer
from gitml.engine.stamp import FreshStamp
from gitml.engine.workspace import Workspace
from gitml.engine.worktree import WorktreeView
from gitml.engine.world import Look, World
from gitml.git.index import HeldFiles
from gitml.git.repository import Repository
from gitml.git.settings import attributes_files, exclude_files, read_settings
from gitml.hashing.clock import FileClock
from gitml.hashing.statcache import StatCache
from gitml.hashing.state import StateDatabase
from gitml.manifest.codec import CODEC, from_json, to_json
from gitml.manifest.load import load
from gitml.model.path import parents
from gitml.model.pipeline import Pipeline
from gitml.project.config import read_config
from gitml.project.declaration import read_declaration
from gitml.project.place import Place
from gitml.project.quick import stamp_of
from gitml.store.claims import Claims
from gitml.store.link import linked_object
from gitml.store.store import Store
from gitml.version import __version__

_COMPILED = "pipeline"


class Project(NamedTuple):
    """One project with its parts; `place` says where it is."""

    place: Place
    environ: Mapping[str, str]
    database: StateDatabase
    clock: FileClock
    cache: StatCache
    stamp: FreshStamp
    store: Store

    @property
    def root(self) -> str:
        """The project's folder, absolute."""
        return self.place.root

    @property
    def repository(self) -> Repository:
        """The Git repository that holds it."""
        return self.place.repository

    @property
    def prefix(self) -> str:
        """The project's folder relative to the worktree, "" for its top."""
        return self.place.prefix

    @property
    def machine(self) -> str:
        """`$GIT_DIR/gitml`: machine state of this worktree."""
        return self.place.machine

    @property
    def shared(self) -> str:
        """`$GIT_COMMON_DIR/gitml`: machine state of all worktrees."""
        return self.place.shared

    def pipeline(self) -> Pipeline:
        """Compile the declaration, or take the compiled one while the files it came from have the same bytes.

        Raises:
            UsageError: The declaration is not valid.
        """
        value = self.database.memo(_COMPILED, _compiled_name())
        if value is not None:
            known = json.loads(value)
            if all(self._fingerprint(path) == mark for path, mark in known["files"].items()):
                return from_json(known["pipeline"])
        return self._compile()

    def world(self, pipeline: Pipeline, *, acting: bool) -> World:
        """Wire the parts that the loop works on; `acting` also stores the tree objects of folder inputs."""
        first = self._look(pipeline, acting=acting)
        pictures = itertools.chain([first], iter(lambda: self._look(pipeline, acting=acting), None))
        return World(
            root=self.root,
            machine=self.machine,
            environ=self.environ,
            pipeline=pipeline,
            store=self.store,
            locks=Locks(self.root, os.path.join(self.machine, "tmp")),
            workspace=Workspace(
                self.root, self.machine, store=self.store, cache=self.cache, git=WorktreeGit(first.held, self.root)
            ),
            paths=Claims(os.path.join(self.shared, "claims")),
            keys=Claims(os.path.join(self.store.objects.root, "claims")),
            look=pictures.__next__,
        )

    def outside(self, looked_at: Iterable[str]) -> list[str]:
        """Name the files beside those looked at on which a verdict rests: what Git tracks and ignores, and how.

        Absolute, or relative to the project. The folder of installed packages is one of them: drift is reported.
        """
        git = self.repository.git(self.environ)
        settings = read_settings(git)
        files = [git.index_file, *settings.files, *exclude_files(git, settings), *attributes_files(git, settings)]
        folders = {self.root} | {os.path.join(self.root, f) for path in looked_at for f in parents(path)}
        above = parents(self.prefix + "/x") if self.prefix else []
        folders.update(os.path.join(self.repository.worktree, folder) for folder in above)
        folders.add(self.repository.worktree)
        rules = [os.path.join(folder, name) for folder in sorted(folders) for name in (".gitignore", ".gitattributes")]
        packages = site_packages(self.environ)
        return [*files, *rules, *([packages] if packages else [])]

    def close(self) -> None:
        """Write what was learnt and close what is open."""
        self.cache.flush()
        self.database.close()
        self.clock.close()

    def _look(self, pipeline: Pipeline, *, acting: bool) -> Look:
        held = HeldFiles(self.repository.git(self.environ), self.prefix)
        view = WorktreeView(
            self.root,
            held=held,
            git=WorktreeGit(held, self.root),
            cache=self.cache,
            database=self.database,
            objects=self.store.objects if acting else None,
        )
        return Look(
            held=held,
            view=view,
            observer=Observer(pipeline, view, self.environ),
        )

    def _compile(self) -> Pipeline:
        marks: dict[str, str | None] = {}

        def read(path: str) -> bytes | None:
            data = read_declaration(self.root, path)
            marks[path] = None if data is None else xxhash.xxh3_128_hexdigest(data)
            return data

        pipeline = load(read)
        value = json.dumps({"files": marks, "pipeline": to_json(pipeline)}).encode()
        self.database.store_memos(_COMPILED, {_compiled_name(): value}, replace_kind=True)
        return pipeline

    def _fingerprint(self, path: str) -> str | None:
        data = read_declaration(self.root, path)
        return None if data is None else xxhash.xxh3_128_hexdigest(data)


def open_project(place: Place, environ: Mapping[str, str]) -> Project:
    """Wire a project. But for the configuration, nothing is read or written before it is needed.

    Raises:
        UsageError: The configuration is not valid, or its cache is not there.
    """
    config = read_config(place, environ)
    database = StateDatabase(place.database)
    clock = FileClock(os.path.join(place.machine, "tmp"))
    user = place.repository.common_dir if config.is_shared else None
    store = Store.at(config.cache, user=user)._replace(links=config.links)
    return Project(
        place=place,
        environ=environ,
        database=database,
        clock=clock,
        cache=StatCache(place.root, database, clock, partial(linked_object, store.objects.root)),
        stamp=stamp_of(place, database),
        store=store,
    )


def _compiled_name() -> bytes:
    return f"{__version__}/{CODEC}".encode()
