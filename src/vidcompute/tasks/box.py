"""The box that this node's tasks put untrusted bytes into."""

from __future__ import annotations

from pathlib import Path

from vidcompute.sandbox.policy import BoxPolicy, SandboxMode, unprivileged_ids
from vidcompute.tasks.environment import Task

#: The dynamic loader and the C library of the ffmpeg program; nothing in here is a secret.
_LIBRARIES = tuple(path for path in map(Path, ("/usr/lib", "/lib", "/lib64", "/usr/lib64")) if path.exists())
#: A boxed Python child inherits the address space of everything preloaded; this is what it may add to it.
_PYTHON_MEMORY_BYTES = 6 << 30


def ffmpeg_policy(task: Task, folder: Path) -> BoxPolicy:
    """What ffmpeg may do: read its libraries write `folder`; its input is an open descriptor."""
    limits = task.environment.limits
    return BoxPolicy(
        read_only=_LIBRARIES,
        read_write=(folder,),
        # Wall time bounds it too; this bounds a decoder that spins on all cores.
        cpu_s=int(task.spec.timeout_s * 16),
        memory_bytes=limits.memory_bytes,
        file_size_bytes=limits.max_bytes,
        mode=SandboxMode(task.environment.sandbox),
        user=unprivileged_ids(),
    )


def python_policy(task: Task, *folders: Path, cpu_s: int = 3600) -> BoxPolicy:
    """A forked Python child may write `folders` (none for a probe) and open nothing else."""
    return BoxPolicy(
        read_write=folders,
        cpu_s=cpu_s,
        memory_bytes=_PYTHON_MEMORY_BYTES,
        file_size_bytes=1 << 30,
        mode=SandboxMode(task.environment.sandbox),
        user=unprivileged_ids(),
    )
