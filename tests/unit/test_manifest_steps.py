from __future__ import annotations

import pytest

from gitml.model.step import Code, Output, Resources, Role
from tests.unit.manifest_project import compiled, problem, problems, step, told


def test_reads_every_key_of_a_step():
    found = step(
        """
        [params]
        seed = 7
        [step.train]
        run = ["one", "two"]
        inputs = ["./data//raw/"]
        outputs = ["m.pt", { path = "r.md", git = true, cache = true, resume = true, push = false, remote = "s3" }]
        metrics = ["m.json"]
        plots = ["p.csv"]
        params = ["seed"]
        code = ["lib/*.py", { path = "x.txt", exact = true }]
        env = ["A"]
        secrets = ["B"]
        cwd = "sub"
        shell = "bash"
        resources = { cpus = 0.5, gpus = 2, memory = "2GiB" }
        timeout = "1h30m"
        retries = 2
        frozen = true
        cache = false
        description = "d"
        labels = ["l"]
        """
    )
    assert [command.text for command in found.commands] == ["one", "two"]
    assert found.inputs == ("data/raw",)
    assert found.outputs == (
        Output(path="m.pt", cache=False),
        Output(path="r.md", git=True, cache=True, resume=True, push=False, remote="s3"),
        Output(path="m.json", role=Role.METRICS, cache=False),
        Output(path="p.csv", role=Role.PLOTS, cache=False),
    )
    assert found.params == {"seed": 7}
    assert found.code == (Code(path="lib/*.py"), Code(path="x.txt", exact=True))
    assert (found.env, found.secrets, found.cwd, found.shell) == (("A",), ("B",), "sub", "bash")
    assert found.resources == Resources(cpus=0.5, gpus=2, memory=2 * 2**30)
    assert (found.timeout, found.retries, found.frozen, found.always) == (5400, 2, True, False)
    assert (found.description, found.labels) == ("d", ("l",))


def test_an_argv_is_not_a_shell_command():
    (command,) = step('[step.a]\nargv = ["echo", "a b", ""]\n').commands
    assert (command.text, command.argv) == (None, ("echo", "a b", ""))


def test_the_message_shows_line_caret_and_the_nearest_key():
    one = problem('[step.a]\nrun = "x"\n\tinput = ["x"]\n')
    assert (one.file, one.line, one.column) == ("gitml.toml", 3, 2)
    assert str(one) == "gitml.toml:3:2: unknown key 'input'\n  \tinput = [\"x\"]\n  \t^\ndid you mean 'inputs'?"


def test_all_mistakes_in_meaning_are_told_at_once_in_the_order_of_the_file():
    found = problems(
        '[projet]\n[step.a]\nrunn = "x"\nretries = "2"\ninputs = ["", 3, "/x"]\n'
        '[step.b]\nrun = "${{ params.x }}"\nalways = 1\n'
    )
    assert [(p.line, p.column) for p in found] == [(1, 2), (2, 7), (3, 1), (4, 11), (5, 11), (5, 15), (7, 8), (8, 10)]


STEP = '[step.a]\nrun = "x"\n'


@pytest.mark.parametrize(
    ("line", "column", "message"),
    [
        ('retries = "2"', 11, "expected an integer, found a string"),
        ("retries = true", 11, "expected an integer, found true or false"),
        ("retries = -1", 11, "expected an integer from 0 to 2147483647"),
        ("always = 1", 10, "expected true or false, found an integer"),
        ('inputs = "a"', 10, "expected a list, found a string"),
        ('inputs = ["a", 1]', 16, "expected a string, found an integer"),
        ('inputs = [" "]', 11, "expected text, found an empty string"),
        ('inputs = ["../a"]', 11, "a path may not contain '..'"),
        ('inputs = ["/a"]', 11, "an absolute path leaves the repository"),
        ('inputs = [".git/config"]', 11, "a path may not enter .git"),
        ('outputs = ["*.csv"]', 12, "an output may not be a glob"),
        ('outputs = ["."]', 12, "the project itself cannot be an output"),
        ("outputs = [1]", 12, "expected a path or a table with 'path', found an integer"),
        ("outputs = [{ git = true }]", 12, "'path' is missing"),
        ('outputs = [{ path = "a", gti = true }]', 26, "unknown key 'gti'"),
        ('outputs = [{ path = "a", git = 1 }]', 32, "expected true or false, found an integer"),
        ('code = [{ path = "a", exakt = true }]', 23, "unknown key 'exakt'"),
        ('cwd = "a*"', 7, "a folder to run in may not be a glob"),
        ('env = ["A=1"]', 8, "'A=1' is not the name of an environment variable"),
        ('timeout = "soon"', 11, "cannot read the duration 'soon'"),
        ("timeout = 0", 11, "a duration must be more than nothing and finite"),
        ("timeout = inf", 11, "a duration must be more than nothing and finite"),
        ("timeout = nan", 11, "a duration must be more than nothing and finite"),
        ('resources = { memory = "2 gigs" }', 24, "cannot read the size '2 gigs'"),
        ("resources = { cpus = -1 }", 22, "expected a number that is not negative"),
        ("resources = { cpus = nan }", 22, "expected a number that is not negative"),
        ("resources = { cpu = 1 }", 15, "unknown key 'cpu'"),
        ("resources = 4", 13, "Resources must be a table, not an integer"),
        ('argv = ["x"]', 1, "a step has either 'run' or 'argv', not both"),
        ('description = "a\\u0000b"', 15, "text may not contain NUL"),
        ("after = 1979-05-27", 9, "expected a list, found a date or time"),
    ],
)
def test_a_wrong_value_is_shown_where_it_stands(line, column, message):
    assert told(STEP + line + "\n")[:3] == (3, column, message)


@pytest.mark.parametrize(
    ("text", "seconds"), [('"90s"', 90), ('"10m"', 600), ('"1h30m"', 5400), ('"1.5s"', 1.5), ("20", 20), ("0.5", 0.5)]
)
def test_durations(text, seconds):
    assert step(STEP + f"timeout = {text}\n").timeout == seconds


@pytest.mark.parametrize(
    ("text", "size"), [('"2GiB"', 2**31), ('"512MB"', 512_000_000), ("1024", 1024), ('"1.5KiB"', 1536), ('"7"', 7)]
)
def test_sizes(text, size):
    assert step(STEP + f"resources = {{ memory = {text} }}\n").resources.memory == size


def test_a_step_needs_a_command():
    assert told('[step.a]\ninputs = ["x"]\n') == (1, 7, "step 'a' has no command", 'add run = "…" or argv = ["…"]')
    assert told("[step.a]\nrun = []\n")[2] == "a step needs at least one command"
    assert told("[step.a]\nargv = []\n")[2] == "argv needs the name of a program"


def test_a_step_that_is_no_table_is_told_once():
    assert told("[step]\na = 3\n")[:3] == (2, 5, "[step.NAME] must be a table, not an integer")


def test_always_and_frozen_exclude_each_other():
    assert told(STEP + "always = true\nfrozen = true\n")[:2] == (4, 1)


def test_a_variable_is_keyed_or_secret():
    line, column, message, _ = told(STEP + 'env = ["A", "B"]\nsecrets = ["C", "B"]\n')
    assert (line, column, message) == (4, 17, "B is in both 'env' and 'secrets'")


@pytest.mark.parametrize("name", ["a", "train-1", "a.b", "_x", "été", "学習", "1", "x" * 200])
def test_names_of_steps(name):
    assert step(f'[step."{name}"]\nrun = "x"\n').id == name


@pytest.mark.parametrize("name", ["a@b", "a/b", "a,b", "a b", ".a", "-a", "", "a\\n", "x" * 201, "é" * 101])
def test_names_that_no_step_may_have(name):
    assert told(f'[step."{name}"]\nrun = "x"\n')[:2] == (1, 7)


# matrix


def ids(matrix):
    return list(compiled(f'[step.a]\nrun = "x"\nmatrix = {matrix}\n').steps)


def test_a_table_of_lists_gives_all_combinations_in_the_order_of_declaration():
    assert ids('{ fold = [0, 1], model = ["b", "a"] }') == [
        "a@fold=0,model=b",
        "a@fold=0,model=a",
        "a@fold=1,model=b",
        "a@fold=1,model=a",
    ]


def test_a_list_of_tables_gives_just_those():
    assert ids("[{ x = 1, y = 2 }, { y = 4, x = 3 }]") == ["a@x=1,y=2", "a@x=3,y=4"]


def test_values_keep_their_type():
    steps = compiled('[step.a]\nrun = "x"\nmatrix = { v = [1, "1", 1.0, true, "true", [1], { k = "z" }] }\n').steps
    assert list(steps) == [
        "a@v=1",
        'a@v="1"',
        "a@v=1.0",
        "a@v=true",
        'a@v="true"',
        "a@v=[1]",
        "a@v={k=z}",
    ]
    assert [type(s.matrix["v"]) for s in steps.values()] == [int, str, float, bool, str, list, dict]
    assert steps["a@v=1"].instance == "v=1"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('"None"', '"None"'),
        ('"null"', '"null"'),
        ('"1e5"', '"1e5"'),
        ('"-1"', '"-1"'),
        ('"2024-01-01"', '"2024-01-01"'),
        ("2024-01-01", "2024-01-01"),
        ('"0x1F"', '"0x1F"'),
        ('"nan"', '"nan"'),
        ("nan", "nan"),
        ('""', '""'),
        ('"a b"', '"a b"'),
        ('"a,b=c"', '"a,b=c"'),
        ('"a@b"', '"a@b"'),
        ('"7b"', "7b"),
        ('"t5"', "t5"),
        ('"e"', "e"),
        ('"-"', "-"),
        ('"12:30"', '"12:30"'),
        ("12:30:00", "12:30:00"),
        ('"resnet-50"', "resnet-50"),
        ('"bert/base"', "bert/base"),
        ('"v1.5"', "v1.5"),
        ("1e-5", "1e-05"),
        ("-0.0", "-0.0"),
        ('{ name = "a", input = "x" }', "{name=a,input=x}"),
        ('{ "a b" = [1, "1"] }', '{"a b"=[1,"1"]}'),
    ],
)
def test_text_of_values(value, text):
    assert ids(f"{{ v = [{value}] }}") == [f"a@v={text}"]


@pytest.mark.parametrize(
    ("matrix", "column", "message"),
    [
        ("{}", 10, "the matrix is empty"),
        ("[]", 10, "the matrix is empty"),
        ("{ v = [] }", 12, "the list is empty, so there would be no instance"),
        ("{ v = 1 }", 12, "expected a list of values, found an integer"),
        ("[1]", 11, "a combination is a table of values, not an integer"),
        ("3", 10, "a matrix is a table of lists or a list of tables, not an integer"),
        ("{ v = [1, 1] }", 10, "the combination v=1 stands there twice"),
        ("[{ x = 1 }, { y = 1 }]", 22, "combinations must have the same names; this and the first differ in x, y"),
        ('{ "a b" = [1] }', 12, "'a b' cannot be a matrix name"),
    ],
)
def test_matrices_that_are_refused(matrix, column, message):
    found = told(f'[step.a]\nrun = "x"\nmatrix = {matrix}\n')
    assert found[:3] == (3, column, message)


def test_a_matrix_has_at_most_100_000_instances():
    ten = ", ".join(map(str, range(10)))
    names = ", ".join(f"n{i} = [{ten}]" for i in range(6))
    assert "has 1000000 instances" in told(f'[step.a]\nrun = "x"\nmatrix = {{ {names} }}\n')[2]


# params of the code itself


def test_declared_params_are_values_or_tables():
    text = '[params]\na = { b = [1, { c = 2 }], "x.y" = 3 }\n'
    found = step(text + '[step.s]\nrun = "x"\nparams = ["a", "a.b.1.c", "a.\\"x.y\\""]\n')
    assert found.params == {"a": {"b": [1, {"c": 2}], "x.y": 3}, "a.b.1.c": 2, 'a."x.y"': 3}


def test_an_unknown_param_names_the_nearest():
    found = told('[params]\ntrain = { epochs = 1 }\n[step.s]\nrun = "x"\nparams = ["train.epoch"]\n')
    assert found == (5, 11, "unknown name 'train.epoch'", "did you mean 'train.epochs'?")
    assert told('[step.s]\nrun = "x"\nparams = ["a..b"]\n')[2] == "cannot read the name 'a..b'"
