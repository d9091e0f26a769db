"""What this machine has, and what the running steps hold of it."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass

from gitml.errors import UsageError
from gitml.model.step import Resources, Step


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """What may be in use at once: CPUs (`-j`), the names of GPUs, memory in bytes."""

    cpus: float
    gpus: tuple[str, ...] = ()
    memory: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """What one execution holds: the GPUs are its own while it runs."""

    resources: Resources
    gpus: tuple[str, ...] = ()


class Pool:
    """Hands out a machine's resources; a step that wants more CPUs or memory than there are runs alone."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._taken: list[float] = []
        self._gpus = list(machine.gpus)
        self._memory = machine.memory

    def check(self, step: Step) -> None:
        """Refuse a step that could never run here.

        Raises:
            UsageError: It wants more GPUs than the machine has.
        """
        if step.resources.gpus > len(self._machine.gpus):
            raise UsageError(
                f"step {step.id} needs {step.resources.gpus} GPU(s); this machine has {len(self._machine.gpus)}",
                hint="set CUDA_VISIBLE_DEVICES, or change the step's resources (they are not part of its key)",
            )

    def take(self, wanted: Resources) -> Grant | None:
        """Take what a step wants, or None when it is not free now."""
        cpus = min(wanted.cpus, self._machine.cpus)
        memory = min(wanted.memory, self._machine.memory)
        if cpus > self._free_cpus() or wanted.gpus > len(self._gpus) or memory > self._memory:
            return None
        self._taken.append(cpus)
        self._memory -= memory
        gpus = tuple(self._gpus.pop(0) for _ in range(wanted.gpus))
        return Grant(resources=Resources(cpus=cpus, gpus=wanted.gpus, memory=memory), gpus=gpus)

    @property
    def has_cpus(self) -> bool:
        """Tell whether any step could start now."""
        return self._free_cpus() > 0

    def _free_cpus(self) -> float:
        """Subtract what is taken now: a running balance of tenths would never come back to the whole it was."""
        return self._machine.cpus - math.fsum(self._taken)

    def give_back(self, grant: Grant) -> None:
        """Free what an execution held."""
        self._taken.remove(grant.resources.cpus)
        self._memory += grant.resources.memory
        self._gpus = sorted([*self._gpus, *grant.gpus], key=self._machine.gpus.index)


def visible_gpus(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Name the NVIDIA GPUs that steps may be given: those of CUDA_VISIBLE_DEVICES, else all that the driver lists."""
    declared = environ.get("CUDA_VISIBLE_DEVICES")
    if declared is not None:
        return tuple(name.strip() for name in declared.split(",") if name.strip() not in ("", "-1", "NoDevFiles"))
    try:
        return tuple(str(number) for number in range(len(os.listdir("/proc/driver/nvidia/gpus"))))
    except FileNotFoundError:
        return ()
