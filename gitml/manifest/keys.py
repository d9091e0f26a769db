"""The one table of keys: all that a manifest may say.

Reading, messages about unknown keys, `docs/reference.md` and the JSON Schema are all made from here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gitml.manifest.kinds import (
    AMOUNT,
    COUNT,
    DURATION,
    FILLED,
    FLAG,
    MEMORY,
    PATHS,
    TEXT,
    TEXTS,
    VARIABLES,
    VERSION,
    hex_digest,
    listing,
    optional,
)
from gitml.manifest.matrix import MATRIX_KIND
from gitml.manifest.table import Key, Kind, Reader, Refused, Table, describe, wrong
from gitml.model.step import Code, Resources

# [project]

MIN_VERSION = Key(
    name="min_version",
    kind=optional(VERSION),
    default=None,
    doc="The oldest gitml that can read this file.",
    example='"0.1"',
)
PARAMS_FILES = Key(
    name="params",
    kind=PATHS,
    default=(),
    doc="Parameter files: `.toml`, `.json` or `.yaml` (YAML 1.2). Their tables merge with `[params]`; a value may be "
    "given only once.",
    example='["params.toml"]',
)
ENVIRONMENT = Key(
    name="environment",
    kind=optional(FILLED),
    default=None,
    doc="The file that locks Python packages, for `packages`: `uv.lock`, `poetry.lock`, `pylock.toml` or a "
    "`requirements.txt` of `==` pins.",
    example='"uv.lock"',
)
ROOTS = Key(
    name="roots",
    kind=PATHS,
    default=(".", "src"),
    doc="Folders in which Python imports are looked up.",
    example='[".", "src"]',
)
PROJECT = Table(
    heading="[project]", doc="What holds for the whole project.", keys=(MIN_VERSION, PARAMS_FILES, ENVIRONMENT, ROOTS)
)

# outputs

OUTPUT_PATH = Key(name="path", kind=FILLED, default="", doc="The file or folder.", example='"report.md"', required=True)
OUTPUT_GIT = Key(
    name="git", kind=FLAG, default=False, doc="Git holds it instead of the store: small text results.", example="true"
)
OUTPUT_CACHE = Key(
    name="cache",
    kind=optional(FLAG),
    default=None,
    doc="Whether the store keeps it. Default: the step's `cache`.",
    example="false",
)
OUTPUT_RESUME = Key(
    name="resume",
    kind=FLAG,
    default=False,
    doc="What a failed attempt left is handed to the next attempt of the same key.",
    example="true",
)
OUTPUT_PUSH = Key(name="push", kind=FLAG, default=True, doc="Whether `gitml push` sends it.", example="false")
OUTPUT_REMOTE = Key(
    name="remote", kind=optional(FILLED), default=None, doc="The remote that it goes to.", example='"models"'
)
OUTPUT = Table(
    heading="Output tables",
    doc="An element of `outputs`, `metrics` or `plots`, where a path alone does not say enough.",
    keys=(OUTPUT_PATH, OUTPUT_GIT, OUTPUT_CACHE, OUTPUT_RESUME, OUTPUT_PUSH, OUTPUT_REMOTE),
)


class OutputText(NamedTuple):
    """An output as written: `path` may hold `${{ }}`; `cache` is None where the step's own holds."""

    path: str
    git: bool = False
    cache: bool | None = None
    resume: bool = False
    push: bool = True
    remote: str | None = None


def _output(value: object) -> OutputText:
    if isinstance(value, str):
        return OutputText(path=FILLED.read(value))
    if not isinstance(value, dict):
        raise wrong(f"expected a path or a table with 'path', found {describe(value)}")
    reader = Reader(value, OUTPUT)
    output = OutputText(
        path=reader.get(OUTPUT_PATH),
        git=reader.get(OUTPUT_GIT),
        cache=reader.get(OUTPUT_CACHE),
        resume=reader.get(OUTPUT_RESUME),
        push=reader.get(OUTPUT_PUSH),
        remote=reader.get(OUTPUT_REMOTE),
    )
    if reader.faults:
        raise Refused(*reader.faults)
    return output


OUTPUTS_KIND = listing(Kind("output", {"anyOf": [FILLED.schema, OUTPUT.schema()]}, _output), "list of outputs")

# code

CODE_PATH = Key(
    name="path", kind=FILLED, default="", doc="A file, folder or glob.", example='"lib/*.py"', required=True
)
CODE_EXACT = Key(
    name="exact",
    kind=FLAG,
    default=False,
    doc="Key the bytes, with comments and formatting, even of Python.",
    example="true",
)
CODE = Table(
    heading="Code tables",
    doc="An element of `code`, where a path alone does not say enough.",
    keys=(CODE_PATH, CODE_EXACT),
)


def _code(value: object) -> Code:
    if isinstance(value, str):
        return Code(path=FILLED.read(value))
    if not isinstance(value, dict):
        raise wrong(f"expected a path or a table with 'path', found {describe(value)}")
    reader = Reader(value, CODE)
    code = Code(path=reader.get(CODE_PATH), exact=reader.get(CODE_EXACT))
    if reader.faults:
        raise Refused(*reader.faults)
    return code


CODES_KIND = listing(Kind("code", {"anyOf": [FILLED.schema, CODE.schema()]}, _code), "list of code")

# resources

CPUS = Key(name="cpus", kind=AMOUNT, default=1, doc="CPUs that one execution takes.", example="4")
GPUS = Key(name="gpus", kind=COUNT, default=0, doc="GPUs that one execution takes.", example="1")
MEMORY_KEY = Key(name="memory", kind=MEMORY, default=0, doc="Memory: bytes, or with a unit.", example='"2GiB"')
RESOURCES_TABLE = Table(
    heading="Resources",
    doc="What one execution takes while it runs; steps run at the same time as far as the machine has it. Not keyed.",
    keys=(CPUS, GPUS, MEMORY_KEY),
)
_NO_RESOURCES = Resources()


def _resources(value: object) -> Resources:
    reader = Reader(value, RESOURCES_TABLE)
    resources = Resources(cpus=reader.get(CPUS), gpus=reader.get(GPUS), memory=reader.get(MEMORY_KEY))
    if reader.faults:
        raise Refused(*reader.faults)
    return resources


RESOURCES_KIND = Kind("resources", RESOURCES_TABLE.schema(), _resources)

# [step.NAME]


def _commands(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (FILLED.read(value),)
    if isinstance(value, list) and not value:
        raise wrong("a step needs at least one command")
    return TEXTS.read(value)


def _argv(value: object) -> tuple[str, ...]:
    words = listing(TEXT, "list of words").read(value)
    if not words or not words[0]:
        raise wrong("argv needs the name of a program", 'write it like argv = ["python", "train.py"]')
    return words


_COMMANDS_SCHEMA = {
    "anyOf": [FILLED.schema, {"type": "array", "minItems": 1, "items": FILLED.schema}],
}
RUN = Key(
    name="run",
    kind=Kind("string or list of strings", _COMMANDS_SCHEMA, _commands),
    default=(),
    doc="One command for the shell, or several that run in order and stop at the first failure. "
    "Exactly one of `run` and `argv` is needed.",
    example='"python train.py --lr ${{ params.lr }}"',
)
ARGV = Key(
    name="argv",
    kind=Kind("list of words", {"type": "array", "minItems": 1, "items": TEXT.schema}, _argv),
    default=(),
    doc="One command as a list of words, run without a shell.",
    example='["python", "train.py", "--lr", "${{ params.lr }}"]',
)
MATRIX = Key(
    name="matrix",
    kind=MATRIX_KIND,
    default=(),
    doc="Makes the step a family of instances: a table of lists (all combinations), or a list of tables (just those).",
    example="{ fold = [0, 1, 2] }",
)
INPUTS = Key(
    name="inputs",
    kind=PATHS,
    default=(),
    doc="Files, folders and globs that the step reads. What another step makes is an edge to that step.",
    example='["data/raw", "metrics/*.json"]',
)
OUTPUTS = Key(
    name="outputs",
    kind=OUTPUTS_KIND,
    default=(),
    doc="Files and folders that the step writes and alone owns.",
    example='["model.pt", { path = "report.md", git = true }]',
)
METRICS = Key(
    name="metrics",
    kind=OUTPUTS_KIND,
    default=(),
    doc="Outputs whose numbers gitml reads: JSON, TOML or YAML.",
    example='["metrics.json"]',
)
PLOTS = Key(
    name="plots", kind=OUTPUTS_KIND, default=(), doc="Outputs that gitml shows as plots.", example='["roc.csv"]'
)
PARAMS = Key(
    name="params",
    kind=TEXTS,
    default=(),
    doc="Dotted names of parameters that the code reads itself. Those used by `${{ }}` need not be named.",
    example='["train.epochs", "seed"]',
)
CODES = Key(
    name="code",
    kind=CODES_KIND,
    default=(),
    doc="More code than the command and its imports show: files, folders or globs.",
    example='["lib/*.py", { path = "prompt.txt", exact = true }]',
)
PACKAGES = Key(
    name="packages",
    kind=TEXTS,
    default=(),
    doc="Distributions whose locked version, with all that they need, enters the key.",
    example='["torch"]',
)
ENV = Key(
    name="env", kind=VARIABLES, default=(), doc="Names of variables whose values enter the key.", example='["SEED"]'
)
SECRETS = Key(
    name="secrets",
    kind=VARIABLES,
    default=(),
    doc="Names of variables that are never keyed, recorded or printed.",
    example='["HF_TOKEN"]',
)
CWD = Key(
    name="cwd",
    kind=FILLED,
    default=".",
    doc="The folder that commands run in. Declared paths stay relative to the project.",
    example='"training"',
)
SHELL = Key(
    name="shell", kind=optional(FILLED), default=None, doc="The shell for `run`; default `sh`.", example='"bash"'
)
AFTER = Key(
    name="after",
    kind=TEXTS,
    default=(),
    doc="Steps or instances that come first but do not enter the key.",
    example='["prepare", "train@fold=0"]',
)
RESOURCES = Key(
    name="resources",
    kind=RESOURCES_KIND,
    default=_NO_RESOURCES,
    doc="What one execution takes.",
    example='{ cpus = 4, gpus = 1, memory = "2GiB" }',
)
TIMEOUT = Key(
    name="timeout",
    kind=optional(DURATION),
    default=None,
    doc="How long one attempt may take: seconds, or with units.",
    example='"1h30m"',
)
RETRIES = Key(name="retries", kind=COUNT, default=0, doc="How often a failed attempt is repeated.", example="2")
ALWAYS = Key(
    name="always", kind=FLAG, default=False, doc="Run it each time, even when nothing changed.", example="true"
)
FROZEN = Key(name="frozen", kind=FLAG, default=False, doc="Count it as fresh, whatever changed.", example="true")
CACHE = Key(
    name="cache",
    kind=FLAG,
    default=True,
    doc="Whether the store keeps the outputs, unless one says otherwise.",
    example="false",
)
DESCRIPTION = Key(
    name="description", kind=TEXT, default="", doc="What the step does, for people.", example='"Train the model."'
)
LABELS = Key(name="labels", kind=TEXTS, default=(), doc="Words to find the step's runs by.", example='["nightly"]')

STEP = Table(
    heading="[step.NAME]",
    doc="One step. A name has letters, digits, `_`, `-` and `.`, and begins with neither of the last two.",
    keys=(
        RUN,
        ARGV,
        MATRIX,
        INPUTS,
        OUTPUTS,
        METRICS,
        PLOTS,
        PARAMS,
        CODES,
        PACKAGES,
        ENV,
        SECRETS,
        CWD,
        SHELL,
        AFTER,
        RESOURCES,
        TIMEOUT,
        RETRIES,
        ALWAYS,
        FROZEN,
        CACHE,
        DESCRIPTION,
        LABELS,
    ),
)

# [source."PATH"]

URL = Key(
    name="url",
    kind=FILLED,
    default="",
    doc="Where it is published: `https://…`, `s3://…`, `gs://…`, `az://…` or `hf://…`. A clone may say this, so "
    "`file:///…` and others of fsspec are opened only where the variable `GITML_ALLOW_PROTOCOL` names them. "
    "`${{ params.… }}` may stand in it; users and passwords may not.",
    example='"https://example.org/raw.csv"',
    required=True,
)
SOURCE_BLAKE3 = Key(
    name="blake3",
    kind=optional(hex_digest("blake3", 64)),
    default=None,
    doc="The digest that the downloaded file must have, as `b3sum` prints it.",
    example='"af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"',
)
SOURCE_SHA256 = Key(
    name="sha256",
    kind=optional(hex_digest("sha256", 64)),
    default=None,
    doc="The same, as `sha256sum` prints it.",
    example='"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"',
)
SOURCE_MD5 = Key(
    name="md5",
    kind=optional(hex_digest("md5", 32)),
    default=None,
    doc="The same, as `md5sum` prints it; it finds a broken download, but anyone can make two files that share one.",
    example='"d41d8cd98f00b204e9800998ecf8427e"',
)
SOURCE = Table(
    heading='[source."PATH"]',
    doc="Raw data that is published somewhere: `gitml update` downloads it to PATH, and so does `gitml repro` where a "
    "step needs it and it was never fetched. What came is recorded in `.gitml/sources/`.",
    keys=(URL, SOURCE_BLAKE3, SOURCE_SHA256, SOURCE_MD5),
)

# the whole


def _table(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise wrong(f"expected a table, found {describe(value)}")
    return value


PROJECT_TABLE = Key(
    name="project",
    kind=Kind("table", PROJECT.schema(), _table),
    default={},
    doc="What holds for the whole project.",
    example='{ min_version = "0.1" }',
)
PARAMS_TABLE = Key(
    name="params",
    kind=Kind("table", {"type": "object"}, _table),
    default={},
    doc="Parameters: any names, any values that TOML can say.",
    example="{ seed = 7 }",
)
STEPS_TABLE = Key(
    name="step",
    kind=Kind("tables", {"type": "object", "additionalProperties": STEP.schema()}, _table),
    default={},
    doc="The steps, by name.",
    example='{ hello = { run = "echo hello" } }',
)
SOURCES_TABLE = Key(
    name="source",
    kind=Kind("tables", {"type": "object", "additionalProperties": SOURCE.schema()}, _table),
    default={},
    doc="Data that is downloaded, by path.",
    example='{ "raw.csv" = { url = "https://example.org/raw.csv" } }',
)
MANIFEST = Table(
    heading="Tables",
    doc="`gitml.toml`, or the tables below `[tool.gitml]` in `pyproject.toml`.",
    keys=(PROJECT_TABLE, PARAMS_TABLE, SOURCES_TABLE, STEPS_TABLE),
)
