from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import tomli

from gitml.manifest import keys, reference, schema
from gitml.manifest.problems import ManifestError
from tests.unit.manifest_project import compiled

ROOT = Path(__file__).parents[2]
TABLES = (keys.MANIFEST, keys.PROJECT, keys.SOURCE, keys.STEP, keys.OUTPUT, keys.CODE, keys.RESOURCES_TABLE)
REWRITE = "run: python -m tests.unit.test_manifest_reference"
PAGE = ROOT / "docs" / "reference.md"
SCHEMA = ROOT / "gitml" / "manifest" / "gitml.schema.json"


def test_the_reference_page_is_what_the_keys_say():
    assert PAGE.read_text() == reference.render(), REWRITE


def test_the_shipped_schema_is_what_the_keys_say():
    assert SCHEMA.read_text() == schema.render(), REWRITE


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(schema.schema())


@pytest.mark.parametrize("key", [key for table in TABLES for key in table.keys], ids=lambda key: key.name)
def test_every_example_is_of_its_kind(key):
    value = tomli.loads(f"x = {key.example}")["x"]
    key.kind.read(value)
    jsonschema.Draft202012Validator(dict(key.kind.schema)).validate(value)


@pytest.mark.parametrize(
    "body",
    [
        "run = 3",
        "run = []",
        "run = 'x'\nnope = 1",
        "run = 'x'\nretries = -1",
        "run = 'x'\noutputs = [{ git = true }]",
        "run = 'x'\noutputs = [{ path = 'a', gti = true }]",
        "run = 'x'\nmatrix = { a = [] }",
        "run = 'x'\nenv = ['A=1']",
        "run = 'x'\ntimeout = 'soon'",
        "run = 'x'\nresources = { memory = '2 gigs' }",
    ],
)
def test_what_the_schema_refuses_is_refused(body):
    text = f"[step.a]\n{body}\n"
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
    assert not validator.is_valid(tomli.loads(text))
    with pytest.raises(ManifestError):
        compiled(text)


def test_the_demo_is_as_the_schema_says():
    demo = (ROOT / "gitml" / "demo" / "gitml.toml").read_text()
    jsonschema.Draft202012Validator(schema.schema()).validate(tomli.loads(demo))


if __name__ == "__main__":
    PAGE.write_text(reference.render())
    SCHEMA.write_text(schema.render())
