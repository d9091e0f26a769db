"""File systems of their own for a test: made in a file, mounted below the test's folder, gone afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_SIZES = {"btrfs": 256 << 20, "xfs": 512 << 20, "ext4": 64 << 20}
"""The least that `mkfs` takes, and room for a test's files."""
_QUIET = {"btrfs": ["-q"], "xfs": ["-q", "-m", "reflink=1"], "ext4": ["-q"]}


@contextmanager
def mounted(kind: str, folder: Path) -> Iterator[Path]:
    """Mount a new file system of a kind (`btrfs`, `xfs`, `ext4` or `tmpfs`); skips the test where that cannot be."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    if kind != "tmpfs" and shutil.which(f"mkfs.{kind}") is None:
        pytest.skip(f"there is no mkfs.{kind}")
    place = folder / kind
    place.mkdir(parents=True)
    device = "tmpfs" if kind == "tmpfs" else _device(kind, folder / f"{kind}.image")
    try:
        _wanted(["mount", "-t", kind, device, str(place)])
        try:
            yield place
        finally:
            _unmount(place)
    finally:
        if kind != "tmpfs":
            subprocess.run(["losetup", "-d", device], check=True)


def _device(kind: str, image: Path) -> str:
    with image.open("wb") as file:
        file.truncate(_SIZES[kind])
    subprocess.run([f"mkfs.{kind}", *_QUIET[kind], str(image)], check=True, capture_output=True)
    return _wanted(["losetup", "--find", "--show", str(image)]).strip()


def _wanted(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def _unmount(place: Path) -> None:
    """Unmount, also where something still looks at it: a test that failed must not leave a mount behind."""
    if subprocess.run(["umount", str(place)], capture_output=True, check=False).returncode != 0:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
