from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitml.engine.launchers import Start, starts
from gitml.model.step import Command


def read(text: str, cwd: str = ".") -> list[Start]:
    return starts(Command(text=text), cwd)


def python(text: str) -> list[tuple[tuple[str, ...], str | None, str | None]]:
    """What Python runs, of the commands that are Python."""
    found = [(s.scripts, s.module, s.code) for s in read(text)]
    return [one for one in found if any(one)]


SCRIPTS = r"""
python train.py
python3 train.py
python3.11 -u -O train.py
pythonw train.py
pypy3 train.py
/usr/bin/python train.py
./.venv/bin/python ./train.py
python -X dev -W ignore -Xutf8 train.py --lr 0.1
python -- train.py
./train.py --lr 0.1
VAR=x OTHER="a b" python train.py
env VAR=x python train.py
env -u HOME python train.py
nohup python train.py > log.txt 2>&1 &
time python train.py
time -p python train.py
nice -n 10 python train.py
nice python train.py
timeout -k 5 60 python train.py
xvfb-run -a -s "-screen 0 640x480x24" python train.py
exec python train.py
coverage run --branch --source pkg train.py
ipython train.py
uv run train.py
uv run python train.py
uv run --with numpy --extra gpu train.py
uv run --with numpy -- python train.py
uv --quiet run --python 3.11 train.py
poetry run python train.py
pdm run train.py
hatch run python train.py
hatch run test:python train.py
pipenv run python train.py
conda run -n env --no-capture-output python train.py
torchrun train.py
torchrun --standalone --nproc_per_node=4 --nnodes 2 train.py --lr 1
torchrun --new-option 4 train.py
torchrun --no-python python train.py
python -m torch.distributed.run --nproc_per_node 4 train.py
python -m torch.distributed.launch train.py
accelerate launch --num_processes 4 --mixed_precision fp16 train.py
accelerate launch --config_file=a.yaml train.py
deepspeed --num_gpus 4 train.py --deepspeed ds.json
uv run torchrun --nproc_per_node 4 train.py
mpirun -np 4 python train.py
srun -n 4 python train.py
bash -c 'python train.py'
sh -ec "exec python train.py"
python -m pdb train.py
python -m cProfile -o out.prof train.py
python train.py | tee log.txt
python train.py; echo done
(python train.py)
if test -f x; then python train.py; fi
while true; do python train.py; done
{ python train.py; }
! python train.py
echo start && python train.py || exit 1
cat <<EOF | sort\npython other.py\nEOF\npython train.py
# a comment that isn't closed\npython train.py
python \\n  train.py
python "train.py"
python 'train'.py
pytest -k fast train.py::test_one
""".strip().splitlines()


@pytest.mark.parametrize("text", [line.replace("\\n", "\n") for line in SCRIPTS])
def test_finds_the_script(text: str):
    assert python(text) == [(("train.py",), None, None)]


@pytest.mark.parametrize(
    "text",
    [
        "python -m pkg.train --lr 1",
        "python -mpkg.train",
        "python -um pkg.train",
        "uv run -m pkg.train",
        "uv run --module pkg.train",
        "uv run python -m pkg.train",
        "torchrun --nproc_per_node 2 -m pkg.train",
        "torchrun -m --nnodes 2 pkg.train",
        "python -m torch.distributed.run -m pkg.train",
        "accelerate launch -m pkg.train",
        "accelerate launch --module --num_processes 2 pkg.train",
        "deepspeed --module pkg.train",
        "coverage run -m pkg.train",
        "python -m coverage run -m pkg.train",
        "CUDA_VISIBLE_DEVICES=0 nohup uv run -- torchrun -m pkg.train x.py",
    ],
)
def test_finds_the_module(text: str):
    assert python(text) == [((), "pkg.train", None)]


@pytest.mark.parametrize(
    "text",
    [
        "python -c 'import a'",
        "python -Ec 'import a'",
        "python - <<'END'\nimport a\nEND\n",
        "python <<-END\nimport a\n\tEND\n",
        "python <<< 'import a'",
    ],
)
def test_finds_python_text_in_the_command(text: str):
    assert python(text) == [((), None, "import a")]


@pytest.mark.parametrize(
    "text",
    [
        "make train.py",
        "cat train.py",
        "uv pip install x",
        "poetry install",
        "echo python train.py",
        "coverage report",
        "",
        "python --version",
        "A=1",
    ],
)
def test_other_commands_are_not_python(text: str):
    assert python(text) == []


def test_an_argv_is_taken_as_it_is():
    (start,) = starts(Command(argv=("python", "a b.py", "x*.txt", "$y", "p;q")), "sub")
    assert start.scripts == ("sub/a b.py",)
    assert start.words == ("sub/x*.txt", "sub/$y", "sub/p;q")


def test_other_words_are_reported_relative_to_the_project():
    (start,) = read(
        "python train.py conf.yaml --data=../d.csv -o ./x/../y.txt ../../out /etc/passwd < in.txt > out.txt", "sub"
    )
    assert start.scripts == ("sub/train.py",)
    assert start.words == ("sub/conf.yaml", "sub/--data=../d.csv", "d.csv", "sub/-o", "sub/y.txt", "sub/in.txt")


def test_words_of_every_command_are_reported():
    assert [s.words for s in read("./run.sh a.txt | sort 'b c' && cat d\\ e")] == [
        ("run.sh", "a.txt"),
        ("sort", "b c"),
        ("cat", "d e"),
    ]


def test_patterns_are_told_from_quoted_stars():
    (start,) = read("cat data/*.csv 'x*.csv' \"y?\"")
    assert start.patterns == ("data/*.csv",)
    assert start.words == ("cat", "x*.csv", "y?")


def test_words_with_variables_name_no_file():
    (start,) = read("cat $FILE ${A}b `ls` $(ls -l) \"$X\" 'a$b'")
    assert start.words == ("cat", "a$b")


@pytest.mark.parametrize(
    "text",
    [
        "python $SCRIPT",
        'python "$DIR/x.py"',
        "$PYTHON x.py",
        "python -m $MODULE",
        'python -c "$CODE"',
        "pytest tests",
        "echo 'unclosed",
        "cd $DIR && python x.py",
        "cd - && python -m a",
    ],
)
def test_says_what_it_cannot_know(text: str):
    assert any(start.unclear for start in read(text))


@pytest.mark.parametrize("text", ["python x.py $ARG", "cat $FILE", "cd $DIR && ls", "torchrun x.py"])
def test_does_not_complain_without_need(text: str):
    assert not any(start.unclear for start in read(text))


def test_text_that_is_no_shell_is_split_at_white_space():
    (start,) = read("cat 'a.txt b.txt; run c.txt")
    assert {"a.txt", "b.txt", "c.txt"} <= set(start.words)


def test_follows_cd():
    found = read("cd a && python x.py\n(cd ../b; python y.py)\npython z.py; cd ../../.. && python w.py")
    assert [s.scripts for s in found if s.scripts] == [("a/x.py",), ("b/y.py",), ("a/z.py",)]


def test_reads_pythonpath():
    (start,) = read("PYTHONPATH=lib:../x:$HOME env PYTHONPATH=more python x.py")
    assert start.search == ("lib", "more")


def test_a_chain_of_launchers_ends():
    read("nohup " * 100 + "python x.py")
    read("bash -c " * 100 + "x")


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="pythn -mc.x\"'\\$()`{}<>&|;#\n\t=*E", max_size=60))
def test_no_text_is_too_odd(text: str):
    for start in read("python " + text, "sub"):
        for path in (*start.scripts, *start.words, *start.patterns):
            assert not path.startswith(("/", "../"))
