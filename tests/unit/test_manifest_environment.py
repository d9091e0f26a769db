from __future__ import annotations

import pytest

from tests.unit.manifest_project import compiled, load_files, problem, told

UV = """
version = 1
[[package]]
name = "torch"
version = "2.0"
source = { registry = "https://example.org" }
dependencies = [
  { name = "numpy" },
  { name = "sympy", marker = "sys_platform == 'linux'" },
  { name = "absent" },
  { name = "fast", extra = ["gpu"] },
]
sdist = { url = "x", hash = "sha256:01" }
wheels = [{ url = "y", hash = "sha256:03" }, { url = "z", hash = "sha256:02" }]
[package.optional-dependencies]
tests = [{ name = "pytest" }]
[[package]]
name = "numpy"
version = "1.0"
wheels = [{ hash = "sha256:a1" }]
[[package]]
name = "numpy"
version = "2.0"
wheels = [{ hash = "sha256:a2" }]
[[package]]
name = "sympy"
version = "1"
dependencies = [{ name = "torch" }]
[[package]]
name = "fast"
version = "3"
source = { git = "https://example.org/fast#abc" }
[package.optional-dependencies]
gpu = [{ name = "cuda" }]
[[package]]
name = "cuda"
version = "12"
[[package]]
name = "pytest"
version = "8"
"""

POETRY = """
[[package]]
name = "torch"
version = "2.0"
files = [{ file = "x", hash = "sha256:02" }, { file = "y", hash = "sha256:01" }]
[package.dependencies]
NumPy = ">=1"
fast = { version = "*", extras = ["gpu"] }
cool = { version = "*", optional = true }
many = [{ version = "1", markers = "a" }, { version = "2", markers = "b" }]
[package.extras]
all = ["cool (>=1)"]
[[package]]
name = "numpy"
version = "1.0"
[[package]]
name = "many"
version = "1"
[[package]]
name = "cool"
version = "1"
[[package]]
name = "fast"
version = "3"
[package.dependencies]
cuda = { version = "*", optional = true }
[package.extras]
gpu = ["cuda (>=1)"]
[package.source]
type = "git"
url = "https://example.org/fast"
resolved_reference = "abc"
[[package]]
name = "cuda"
version = "12"
"""

PYLOCK = """
lock-version = "1.0"
[[packages]]
name = "torch"
version = "2.0"
dependencies = [{ name = "numpy" }]
wheels = [{ name = "x", hashes = { sha256 = "02" } }, { name = "y", hashes = { sha256 = "01" } }]
[[packages]]
name = "numpy"
version = "1.0"
sdist = { hashes = { sha256 = "a1" } }
[[packages]]
name = "other"
vcs = { type = "git", url = "https://example.org/o", commit-id = "abc" }
"""

VIA = """\
# made by a tool
--index-url https://example.org
numpy==1.0 \\
    --hash=sha256:02 \\
    --hash=sha256:01
    # via
    #   torch
    #   -r in.txt
Torch[cuda] == 2.0 ; python_version > "3"  # note
    # via -r in.txt
other @ https://example.org/o.whl
    # via -r in.txt
"""


def packages(file, text, names="['torch']"):
    manifest = f"[project]\nenvironment = '{file}'\n[step.s]\nrun = 'x'\npackages = {names}\n"
    return load_files({"gitml.toml": manifest, file: text})


def versions(file, text, name="torch"):
    return {n: facts["version"] for n, facts in packages(file, text, f"['{name}']").packages[name].items()}


def test_uv_gives_the_closure_with_extras_over_all_platforms():
    found = packages("uv.lock", UV).packages["torch"]
    assert found["torch"] == {"version": "2.0", "hashes": ["sha256:01", "sha256:02", "sha256:03"]}
    assert found["numpy"] == {"version": "1.0,2.0", "hashes": ["sha256:a1", "sha256:a2"]}
    assert found["fast"]["hashes"] == ["git+https://example.org/fast#abc"]
    assert list(found) == ["cuda", "fast", "numpy", "sympy", "torch"]


def test_poetry_gives_the_closure_with_extras():
    found = packages("poetry.lock", POETRY).packages["torch"]
    assert list(found) == ["cuda", "fast", "many", "numpy", "torch"]
    assert found["torch"]["hashes"] == ["sha256:01", "sha256:02"]
    assert found["fast"]["hashes"] == ["git+https://example.org/fast#abc"]


def test_pylock_gives_the_closure_where_it_knows_it():
    assert versions("pylock.toml", PYLOCK) == {"numpy": "1.0", "torch": "2.0"}
    assert packages("pylock.dev.toml", PYLOCK).packages["torch"]["torch"]["hashes"] == ["sha256:01", "sha256:02"]
    unknown = PYLOCK.replace('dependencies = [{ name = "numpy" }]', "")
    assert versions("pylock.toml", unknown) == {"numpy": "1.0", "other": "", "torch": "2.0"}


def test_requirements_give_the_closure_where_comments_tell_it():
    found = packages("requirements.txt", VIA).packages["torch"]
    assert found == {
        "numpy": {"version": "1.0", "hashes": ["sha256:01", "sha256:02"]},
        "torch": {"version": "2.0", "hashes": []},
    }
    assert versions("requirements.txt", "torch==2\nnumpy==1\n") == {"numpy": "1", "torch": "2"}
    assert versions("requirements.txt", VIA, "other") == {"other": "https://example.org/o.whl"}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("torch>=2\n", 1),
        ("a==1\ntorch\n", 2),
        ("-r other.txt\n", 1),
        ("a==1\n-e .\n", 2),
        ("torch==2.*\n", 1),
        ("a==1,<2\n", 1),
    ],
)
def test_requirements_must_be_pinned(text, line):
    manifest = "[project]\nenvironment = 'requirements.txt'\n[step.s]\nrun = 'x'\npackages = ['torch']\n"
    one = problem(manifest, requirements__txt=text)
    assert (one.file, one.line) == ("requirements.txt", line)
    assert "is not pinned" in one.message


def test_names_are_normalised():
    found = packages("requirements.txt", "My.Pkg==1\n", "['my_pkg', 'MY-PKG']")
    assert found.steps["s"].packages == ("my-pkg", "my-pkg")
    assert list(found.packages) == ["my-pkg"]


def test_the_environment_is_read_only_for_packages():
    manifest = "[project]\nenvironment = 'uv.lock'\n[step.s]\nrun = 'x'\n"
    found = compiled(manifest)
    assert (found.environment, found.packages, found.files) == ("uv.lock", {}, ("gitml.toml",))
    assert packages("uv.lock", UV).files == ("gitml.toml", "uv.lock")


def test_an_unknown_package_names_the_nearest():
    manifest = "[project]\nenvironment = 'uv.lock'\n[step.s]\nrun = 'x'\npackages = ['numpi']\n"
    found = told(manifest, uv__lock=UV)
    assert found == (5, 13, "package 'numpi' is not in uv.lock", "did you mean 'numpy'?")


@pytest.mark.parametrize(
    ("head", "line", "message"),
    [
        ("", 3, "'packages' needs an environment"),
        ("[project]\nenvironment = 'uv.lock'\n", 2, "there is no file uv.lock"),
        ("[project]\nenvironment = 'conda.yaml'\n", 2, "conda.yaml is not a lock file that gitml knows"),
        ("[project]\nenvironment = '/uv.lock'\n", 2, "an absolute path leaves the repository"),
    ],
)
def test_packages_need_an_environment(head, line, message):
    found = told(head + "[step.s]\nrun = 'x'\npackages = ['torch']\n")
    assert (found[0], found[2]) == (line, message)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("uv.lock", "package = 3"),
        ("uv.lock", "[[package]]\nversion = '1'"),
        ("uv.lock", "[[package]]\nname = 3"),
        ("uv.lock", "[[package]]\nname = 'x'\nwheels = [3]"),
        ("poetry.lock", "[[package]]\nname = 'x'\nversion = '1'\ndependencies = 3"),
        ("pylock.toml", "[[packages]]\nname = 'x'\nvcs = 3"),
        ("pylock.toml", "packages = ["),
    ],
)
def test_a_damaged_lock_file_is_one_message(file, text):
    manifest = f"[project]\nenvironment = '{file}'\n[step.s]\nrun = 'x'\npackages = ['torch']\n"
    assert problem(manifest, **{file.replace(".", "__"): text}).file == file
