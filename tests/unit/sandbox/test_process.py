"""child() and run(): nothing outlives the block."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from tests.unit.sandbox.lifetime import alive, dead_within
from vidcompute.errors import TaskFailed
from vidcompute.sandbox.process import PIPE, child, run

STUBBORN = (
    "import signal, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(60)"
)
FLOOD = "import sys\nwhile True: sys.stdout.buffer.write(b'x' * 65536)"


async def test_a_child_is_dead_when_the_block_ends() -> None:
    async with child(["sleep", "60"]) as proc:
        assert alive(proc.pid)

    assert not alive(proc.pid)


async def test_a_child_that_ignores_sigterm_is_killed_after_the_grace() -> None:
    async with child([sys.executable, "-I", "-S", "-c", STUBBORN], grace_s=0.2) as proc:
        assert proc.stdout is not None
        await proc.stdout.readline()

    assert proc.returncode == -9


async def test_what_the_child_started_dies_with_it() -> None:
    async with child(["sh", "-c", "sleep 60 & echo $!; wait"]) as proc:
        assert proc.stdout is not None
        grandchild = int(await proc.stdout.readline())

    assert dead_within(grandchild, 5)


async def test_what_the_child_left_behind_dies_too() -> None:
    async with child(["sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"]) as proc:
        assert proc.stdout is not None
        grandchild = int(await proc.stdout.readline())
        await proc.wait()

    assert dead_within(grandchild, 5)


async def test_a_second_cancel_does_not_leak_the_child() -> None:
    pids: list[int] = []
    entered = asyncio.Event()

    async def hold() -> None:
        async with child([sys.executable, "-I", "-S", "-c", STUBBORN], grace_s=60) as proc:
            assert proc.stdout is not None
            await proc.stdout.readline()
            pids.append(proc.pid)
            entered.set()
            await proc.wait()

    task = asyncio.get_running_loop().create_task(hold())
    await entered.wait()
    task.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert not alive(pids[0])


async def test_a_child_blocked_on_unread_output_still_ends() -> None:
    async with child([sys.executable, "-I", "-S", "-c", FLOOD], grace_s=2) as proc:
        await asyncio.sleep(0)

    assert not alive(proc.pid)


async def test_the_environment_of_the_service_is_not_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_SECRET", "hunter2")

    done = await run(["env"], timeout_s=10)

    assert b"CANARY" not in done.stdout


async def test_descriptors_are_inherited_only_by_name() -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)

    done = await run(["sh", "-c", f"echo hello >/dev/fd/{writer}"], timeout_s=10)
    given = await run(["sh", "-c", f"echo hello >/dev/fd/{writer}"], timeout_s=10, pass_fds=[writer])

    assert done.code != 0
    assert given.code == 0
    os.close(reader)
    os.close(writer)


async def test_run_keeps_output_up_to_its_limit_and_says_so() -> None:
    done = await run(["sh", "-c", "printf 0123456789; echo trouble >&2; exit 3"], timeout_s=10, max_output_bytes=4)

    assert (done.code, done.stdout, done.stdout_truncated) == (3, b"0123", True)
    assert done.stderr_tail == "trouble"


async def test_run_feeds_stdin_even_to_a_program_that_does_not_read() -> None:
    done = await run(["cat"], timeout_s=10, stdin_data=b"abc")
    deaf = await run(["true"], timeout_s=10, stdin_data=b"x" * 1_000_000)

    assert done.stdout == b"abc"
    assert deaf.code == 0


async def test_run_reports_a_timeout_with_the_last_words() -> None:
    with pytest.raises(TaskFailed, match="did not finish") as caught:
        await run(["sh", "-c", "echo working >&2; sleep 60"], timeout_s=0.5)

    assert caught.value.evidence["stderr_tail"] == "working"


async def test_a_program_that_does_not_exist_is_named() -> None:
    with pytest.raises(TaskFailed, match="/no/such/program"):
        async with child(["/no/such/program"], stdout=PIPE):
            pass
