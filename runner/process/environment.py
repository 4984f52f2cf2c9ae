"""The environment of child processes: what every child gets, and what each kind of child needs beside that.

Children read untrusted files or run native code on them: no credential, no endpoint of an identity and nothing that
changes how Python or the loader starts reaches them. What is not named here is not passed on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from runner.paths import ROOT

EVERY = frozenset({"PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH"})  # passed on to every child


@dataclass(frozen=True)
class Needs:
    """What one kind of child needs beside `EVERY`."""

    names: frozenset[str] = frozenset()  # passed on where they are set
    prefixes: tuple[str, ...] = ()  # passed on: every variable whose name begins so
    defaults: Mapping[str, str] = field(default_factory=dict)  # set where nothing was passed on
    fixed: Mapping[str, str] = field(default_factory=dict)  # set whatever was passed on


DECODER = Needs(
    fixed={
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1",  # a thread before the sandbox is closed would stay outside of it
        "OMP_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",  # each arena reserves address space, which is what is limited
    },
)
COLMAP = Needs(
    names=frozenset({"TMPDIR"}),
    fixed={
        "OMP_WAIT_POLICY": "PASSIVE",  # threads that spin while they wait slow the others down
        "OPENBLAS_NUM_THREADS": "1",  # a thread before the sandbox is closed would stay outside of it
    },
)
JOB = Needs(
    names=frozenset({"HOME", "USER", "TZ", "VIRTUAL_ENV", "XDG_CACHE_HOME", "MOCK_SECONDS", "MOCK_DOUBT",
                     "LOG_LEVEL", "PYTHONWARNINGS", "TERM"}),
    prefixes=("NUMBA_", "OMP_", "MKL_", "OPENBLAS_", "CUDA_", "NVIDIA_", "TORCH_", "PYTORCH_"),
    defaults={"OMP_WAIT_POLICY": "PASSIVE"},  # as above
    fixed={
        "LOG_FORMAT": "text",  # its output is the log of the run, for people
        "PYTHONUNBUFFERED": "1",
    },
)  # fmt: skip


def for_child(
    env: Mapping[str, str],
    needs: Needs,
    *,
    defaults: Mapping[str, str] | None = None,
    fixed: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The environment of one child, out of this process's. defaults, fixed: what only this child needs, as in `Needs`.

    PYTHONPATH names our own code and nothing else.
    """
    passed_on = {
        name: value
        for name, value in env.items()
        if name in EVERY or name in needs.names or name.startswith(needs.prefixes)
    }
    return {
        **needs.defaults, **(defaults or {}), **passed_on, **needs.fixed, **(fixed or {}), "PYTHONPATH": str(ROOT),
    }  # fmt: skip
