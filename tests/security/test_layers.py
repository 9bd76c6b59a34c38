"""Each layer of the box, alone: with one switched off, the others still hold."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.security.conftest import FFMPEG, Box, Listener
from tests.unit.sandbox.lifetime import dead_within
from vidcompute.errors import SandboxUnavailable
from vidcompute.sandbox import box as box_module
from vidcompute.sandbox.layers import LayerReport, boxed_argv, detect
from vidcompute.sandbox.policy import BoxPolicy, SandboxMode, prepare_scratch, unprivileged_ids
from vidcompute.sandbox.process import CLEAN_ENV, child, run
from vidcompute.sandbox.verdict import verdict

#: The layers that refuse each attack; every one of them alone must be enough, and without any it must succeed:
#: an attack that fails anyway would prove nothing.
ABI = box_module.landlock_abi()
NETWORK = ("landlock", "seccomp") if ABI >= 4 else ("seccomp",)
SIGNALS = tuple(
    name
    for name, holds in (("landlock", ABI >= 6), ("seccomp", True), ("user", unprivileged_ids() is not None))
    if holds
)


def but(kept: str, layers: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in layers if name != kept)


async def call(box: Box, listener: Listener, disabled: tuple[str, ...]) -> bool:
    await box.run(["/bin/bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{listener.port}"], disabled_layers=disabled)
    return listener.called()


@pytest.mark.parametrize("kept", NETWORK)
async def test_one_layer_is_enough_against_the_network(kept: str, box: Box, listener: Listener) -> None:
    assert not await call(box, listener, but(kept, NETWORK))


async def test_without_these_layers_the_network_is_open(box: Box, listener: Listener) -> None:
    assert await call(box, listener, NETWORK)


async def signal_parent(box: Box, disabled: tuple[str, ...]) -> bool:
    done = await box.run(["/bin/bash", "-c", f"kill -0 {os.getpid()}"], disabled_layers=disabled)
    return done.code == 0


@pytest.mark.parametrize("kept", SIGNALS)
async def test_one_layer_is_enough_against_signals(kept: str, box: Box) -> None:
    assert not await signal_parent(box, but(kept, SIGNALS))


async def test_without_these_layers_the_service_can_be_signalled(box: Box) -> None:
    assert await signal_parent(box, SIGNALS)


async def read(box: Box, path: Path, disabled: tuple[str, ...]) -> bool:
    done = await box.run(["/bin/cat", path], disabled_layers=disabled)
    return done.stdout == b"CANARY"


async def test_landlock_alone_hides_a_file_that_everybody_may_read(box: Box, canary: Path) -> None:
    assert not await read(box, canary, ("user", "seccomp"))


async def test_without_landlock_that_file_can_be_read(box: Box, canary: Path) -> None:
    assert await read(box, canary, ("landlock",))


@pytest.mark.skipif(unprivileged_ids() is None, reason="only root can become another user")
async def test_the_other_user_alone_cannot_read_our_files(box: Box, closed_canary: Path) -> None:
    assert not await read(box, closed_canary, ("landlock", "seccomp"))


async def test_no_new_process_can_be_started(box: Box) -> None:
    boxed = await box.run(["/bin/bash", "-c", "(exit 7); exit 9"])
    free = await box.run(["/bin/bash", "-c", "(exit 7); exit 9"], disabled_layers=("seccomp",))

    assert boxed.code not in (7, 9)
    assert free.code == 9


async def test_the_environment_is_clean(box: Box) -> None:
    done = await box.run(["/usr/bin/env"])

    assert {line.partition(b"=")[0] for line in done.stdout.split()} <= {b"LANG"}


async def test_scratch_can_be_written_though_its_parents_are_closed(box: Box) -> None:
    done = await box.run(["/bin/bash", "-c", "echo mine > note"])

    assert (done.code, (box.scratch / "note").read_text()) == (0, "mine\n")


async def test_folders_that_exist_are_not_given_away(tmp_path: Path, box: Box) -> None:
    with pytest.raises(FileExistsError):
        prepare_scratch(tmp_path, box.policy)


#: Starts the launcher without the right to change its user, which stands in for any layer that a machine lacks.
LACKING = ["/usr/bin/setpriv", "--bounding-set=-setuid,-setgid"] if os.getuid() == 0 else []
OTHER_USER = (12345, 12345)


async def test_required_refuses_to_start_when_a_layer_is_missing(box: Box) -> None:
    policy = replace(box.policy, mode=SandboxMode.REQUIRED, user=OTHER_USER)
    done = await run([*LACKING, *boxed_argv(["/bin/true"], policy)], timeout_s=10)

    error = verdict(done.code, policy, what="the encoder", stderr_tail=done.stderr_tail)

    assert isinstance(error, SandboxUnavailable)
    assert "user" in error.detail


async def test_auto_goes_on_without_the_missing_layer_and_says_so(box: Box) -> None:
    reader, writer = os.pipe()
    argv = boxed_argv(["/bin/true"], replace(box.policy, user=OTHER_USER), report_fd=writer)

    done = await run([*LACKING, *argv], timeout_s=10, pass_fds=[writer])

    said = json.loads(os.read(reader, 65536))
    os.close(reader)
    os.close(writer)
    assert done.code == 0
    assert list(said["missing"]) == ["user"]
    assert "seccomp" in said["active"]


async def test_off_keeps_the_limits_and_the_bond_to_the_parent(box: Box, canary: Path) -> None:
    done = await box.run(["/bin/bash", "-c", f"ulimit -t; cat {canary}"], mode=SandboxMode.OFF, cpu_s=77)

    assert done.stdout == b"77\nCANARY"


async def test_every_layer_holds_on_this_machine() -> None:
    report = await detect(FFMPEG)

    report.require(SandboxMode.REQUIRED)
    assert report.landlock_abi >= 1
    assert {"rlimits", "parent_death", "landlock", "seccomp"} <= set(report.active)


def test_required_names_every_missing_layer() -> None:
    report = LayerReport(active=("rlimits",), missing={"landlock": "Function not implemented"})

    report.require(SandboxMode.AUTO)
    with pytest.raises(SandboxUnavailable, match="landlock"):
        report.require(SandboxMode.REQUIRED)


PARENT = """
import asyncio, os, sys
from pathlib import Path
from vidcompute.sandbox.layers import boxed_argv
from vidcompute.sandbox.policy import BoxPolicy, unprivileged_ids
from vidcompute.sandbox.process import child

async def main():
    policy = BoxPolicy(user=unprivileged_ids())
    async with child(boxed_argv(["/bin/bash", "-c", "echo up; read"], policy), stdin=-1) as proc:
        await proc.stdout.readline()
        print(proc.pid, flush=True)
        await proc.wait()

asyncio.run(main())
"""


async def test_a_boxed_program_dies_with_a_parent_that_was_killed() -> None:
    here = {**CLEAN_ENV, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    async with child([sys.executable, "-c", PARENT], env=here) as parent:
        assert parent.stdout is not None
        pid = int(await parent.stdout.readline())

        parent.kill()

        assert dead_within(pid, 5)


async def test_a_program_whose_parent_died_before_it_started_never_starts() -> None:
    words = BoxPolicy().words(parent=2**22 + 1)
    launcher = Path(box_module.__file__).with_name("launcher.py")

    async with child([sys.executable, "-I", "-S", launcher, *words, "--", "/bin/true"]) as proc:
        assert await proc.wait() == box_module.EXIT_ORPHAN


async def test_the_launcher_costs_milliseconds(box: Box) -> None:
    """Generous for a busy machine: an import of dataclasses or typing would triple it."""
    started = time.perf_counter()
    for _ in range(5):
        await box.run(["/bin/true"])

    assert (time.perf_counter() - started) / 5 < 0.5


async def test_the_launcher_imports_no_heavy_modules() -> None:
    code = (
        "import sys; sys.path.append(sys.argv[1]); import vidcompute.sandbox.box;"
        "print([name for name in ('dataclasses', 'typing', 'json', 're', 'enum', 'pathlib') if name in sys.modules])"
    )
    source = str(Path(box_module.__file__).parents[2])

    async with child([sys.executable, "-I", "-S", "-c", code, source]) as proc:
        out, _ = await proc.communicate()

    assert out.strip() == b"[]"
