"""The programs that start Python or other programs, and how their own words end."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Starts(Enum):
    """What the first word after a launcher's own options is."""

    COMMAND = "a command"
    PYTHON = "a Python script, or -m and a module"
    EITHER = "a command, a Python script, or -m and a module"
    FILES = "Python files, as many as there are"
    SHELL = "a script; text after -c"


class Launcher(NamedTuple):
    """How to get past a launcher's own words.

    `values`: options that take the next word as their value, unless it is joined by `=`. `sub`: the subcommand that
    starts something; other subcommands do not. `skip`: positional words before what is started. `module`: options
    that make the first positional word a module. `plain`: options that make it a command.
    """

    starts: Starts = Starts.COMMAND
    values: frozenset[str] = frozenset()
    sub: str | None = None
    skip: int = 0
    module: frozenset[str] = frozenset()
    plain: frozenset[str] = frozenset()


def _options(text: str) -> frozenset[str]:
    return frozenset(text.split())


_M = _options("-m --module")
PYTHON = Launcher(starts=Starts.PYTHON, values=_options("-W -X -Q --check-hash-based-pycs"), module=_options("-m"))
_DISTRIBUTED = Launcher(
    starts=Starts.PYTHON,
    module=_M,
    plain=_options("--no-python --no_python"),
    values=_options(
        "--nnodes --nproc-per-node --nproc_per_node --rdzv-backend --rdzv_backend --rdzv-endpoint "
        "--rdzv_endpoint --rdzv-id --rdzv_id --rdzv-conf --rdzv_conf --max-restarts --max_restarts "
        "--monitor-interval --monitor_interval --start-method --start_method --role --log-dir --log_dir -r "
        "--redirects -t --tee --local-ranks-filter --local_ranks_filter --node-rank --node_rank --master-addr "
        "--master_addr --master-port --master_port --local-addr --local_addr --logs-specs --logs_specs"
    ),
)
_ACCELERATE = Launcher(
    starts=Starts.PYTHON,
    sub="launch",
    module=_M,
    plain=_options("--no_python"),
    values=_options(
        "--config_file --num_processes --num_machines --machine_rank --main_process_ip --main_process_port "
        "--mixed_precision --dynamo_backend --dynamo_mode --gpu_ids --num_cpu_threads_per_process "
        "--rdzv_backend --rdzv_conf --max_restarts --monitor_interval --role --log_dir --tee --same_network "
        "--deepspeed_config_file --zero_stage --offload_optimizer_device --offload_param_device "
        "--gradient_accumulation_steps --gradient_clipping --deepspeed_hostfile "
        "--deepspeed_multinode_launcher --fsdp_config --fsdp_sharding_strategy --fsdp_offload_params "
        "--fsdp_auto_wrap_policy --fsdp_transformer_layer_cls_to_wrap --fsdp_state_dict_type "
        "--fsdp_min_num_params --tp_size --aws_access_key_id --aws_secret_access_key --env --fp8_backend"
    ),
)
_DEEPSPEED = Launcher(
    starts=Starts.PYTHON,
    module=_options("--module"),
    plain=_options("--no_python"),
    values=_options(
        "-H --hostfile -i --include -e --exclude --num_nodes --num_gpus --min_elastic_nodes "
        "--max_elastic_nodes --master_addr --master_port --launcher --launcher_args --node_rank --autotuning "
        "--bind_core_list --ssh_port --elastic_training --venv_script --save_pid"
    ),
)
_COVERAGE = Launcher(
    starts=Starts.PYTHON,
    sub="run",
    module=_options("-m --module"),
    values=_options("--rcfile --source --include --omit --data-file --context --concurrency --debug"),
)
_UV = Launcher(
    starts=Starts.EITHER,
    sub="run",
    module=_M,
    values=_options(
        "--with --with-editable --with-requirements --extra --no-extra --group --no-group --only-group "
        "--env-file -p --python --package --project --directory --index --default-index -i --index-url "
        "--extra-index-url -f --find-links --config-file --cache-dir --refresh-package -P --upgrade-package "
        "--reinstall-package --index-strategy --keyring-provider --resolution --prerelease --fork-strategy "
        "--exclude-newer --link-mode -C --config-setting --no-build-package --no-binary-package "
        "--no-build-isolation-package --color --python-platform --allow-insecure-host -w"
    ),
)
_MPI = Launcher(
    values=_options(
        "-n -np -c -N --n --np --host -H --hostfile -hostfile --machinefile -machinefile --map-by --bind-to "
        "--rank-by -x -genv -wdir --wdir -ppn -f -hosts"
    )
)

LAUNCHERS = {
    "uv": _UV,
    "poetry": Launcher(sub="run", values=_options("-C --directory -P --project")),
    "pdm": Launcher(starts=Starts.EITHER, sub="run", values=_options("-p --project --venv")),
    "hatch": Launcher(sub="run", values=_options("-e --env -p --project")),
    "rye": Launcher(sub="run", values=_options("--pyproject")),
    "pixi": Launcher(sub="run", values=_options("-e --environment --manifest-path --color")),
    "pipenv": Launcher(sub="run"),
    "conda": Launcher(sub="run", values=_options("-n --name -p --prefix --cwd")),
    "mamba": Launcher(sub="run", values=_options("-n --name -p --prefix --cwd")),
    "micromamba": Launcher(sub="run", values=_options("-n --name -p --prefix -r --root-prefix --cwd -e --env")),
    "torchrun": _DISTRIBUTED,
    "accelerate": _ACCELERATE,
    "deepspeed": _DEEPSPEED,
    "coverage": _COVERAGE,
    "ipython": Launcher(starts=Starts.PYTHON, module=_options("-m"), values=_options("--profile --ext")),
    "kernprof": Launcher(
        starts=Starts.PYTHON, module=_options("-m"), values=_options("-o --outfile -s --setup -p -i -u")
    ),
    "streamlit": Launcher(starts=Starts.PYTHON, sub="run"),
    "pytest": Launcher(
        starts=Starts.FILES,
        values=_options("-k -m -p -c -o -W -n --rootdir --junitxml --tb --maxfail --durations --basetemp --confcutdir"),
    ),
    "env": Launcher(values=_options("-u --unset -C --chdir")),
    "nohup": Launcher(),
    "setsid": Launcher(),
    "exec": Launcher(values=_options("-a")),
    "command": Launcher(),
    "time": Launcher(values=_options("-f --format -o --output")),
    "nice": Launcher(values=_options("-n --adjustment")),
    "ionice": Launcher(values=_options("-c --class -n --classdata")),
    "stdbuf": Launcher(values=_options("-i --input -o --output -e --error")),
    "timeout": Launcher(values=_options("-s --signal -k --kill-after"), skip=1),
    "taskset": Launcher(skip=1),
    "numactl": Launcher(values=_options("-N -m -C")),
    "xvfb-run": Launcher(
        values=_options("-e --error-file -f --auth-file -n --server-num -p -s --server-args -w --wait")
    ),
    "sudo": Launcher(values=_options("-u --user -g --group")),
    "mpirun": _MPI,
    "mpiexec": _MPI,
    "horovodrun": _MPI,
    "srun": Launcher(
        values=_options("-n -N -c -p -A -t -J -w -G -o -e --ntasks --nodes --cpus-per-task --gres --partition")
    ),
    "sh": Launcher(starts=Starts.SHELL),
    "bash": Launcher(starts=Starts.SHELL, values=_options("-O -o --rcfile --init-file")),
    "zsh": Launcher(starts=Starts.SHELL),
    "dash": Launcher(starts=Starts.SHELL),
}
"""By the name of the program, without its folder. Python itself has too many names for a table."""

MODULES = {
    "torch.distributed.run": _DISTRIBUTED,
    "torch.distributed.launch": _DISTRIBUTED,
    "accelerate.commands.launch": Launcher(
        starts=Starts.PYTHON, module=_ACCELERATE.module, plain=_ACCELERATE.plain, values=_ACCELERATE.values
    ),
    "coverage": _COVERAGE,
    "cProfile": Launcher(starts=Starts.PYTHON, module=_options("-m"), values=_options("-o -s")),
    "profile": Launcher(starts=Starts.PYTHON, module=_options("-m"), values=_options("-o -s")),
    "pdb": Launcher(starts=Starts.PYTHON, module=_options("-m"), values=_options("-c")),
    "kernprof": LAUNCHERS["kernprof"],
    "pytest": LAUNCHERS["pytest"],
    "IPython": LAUNCHERS["ipython"],
    "streamlit": LAUNCHERS["streamlit"],
}
"""Modules that start other code when they are run with `python -m`."""
