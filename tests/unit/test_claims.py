from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gitml.store.claims import Claims


@pytest.fixture
def claims(tmp_path: Path) -> Claims:
    return Claims(str(tmp_path / "claims"))


def test_a_claim_is_held_by_one(claims: Claims) -> None:
    first = claims.attempt("a")
    assert first is not None
    assert claims.attempt("a") is None
    other = claims.attempt("b")
    assert other is not None
    other.release()
    first.release()
    again = claims.attempt("a")
    assert again is not None and again.left_by is None
    again.release()


def test_the_holder_is_named(claims: Claims) -> None:
    assert claims.holder("a") is None
    claim = claims.attempt("a")
    assert claim is not None
    claim.sign({"pid": 7})
    assert claims.holder("a") == {"pid": 7}
    claim.sign({"pid": 8, "step": "longer than before"})
    claim.sign({"pid": 9})
    assert claims.holder("a") == {"pid": 9}
    claim.release()
    assert claims.holder("a") is None


def test_what_a_dead_holder_wrote_is_found(claims: Claims) -> None:
    claim = claims.attempt("a")
    assert claim is not None
    claim.sign({"run": "r1"})
    claim.abandon()
    found = claims.attempt("a")
    assert found is not None and found.left_by == {"run": "r1"}
    found.abandon()


@pytest.mark.parametrize("text", [b"{", b"[]", b"\xff", b"null"])
def test_text_that_was_cut_is_still_a_dead_holder(claims: Claims, tmp_path: Path, text: bytes) -> None:
    claim = claims.attempt("a")
    assert claim is not None
    os.pwrite(claim.descriptor, text, 0)
    claim.abandon()
    found = claims.attempt("a")
    assert found is not None and found.left_by == {}
    found.release()


def test_a_claim_stands_while_a_child_has_it(claims: Claims) -> None:
    claim = claims.attempt("a")
    assert claim is not None
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[claim.descriptor])
    claim.abandon()
    assert claims.attempt("a") is None
    child.communicate(b"\n")
    found = claims.attempt("a")
    assert found is not None
    found.release()


def test_claims_are_never_unlinked(claims: Claims, tmp_path: Path) -> None:
    for _ in range(3):
        claim = claims.attempt("a")
        assert claim is not None
        claim.release()
    assert len(os.listdir(tmp_path / "claims")) == 1
