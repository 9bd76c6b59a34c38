"""Cases for test_fork, each run in a process of its own: forking needs one without threads, and pytest has some."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vidcompute.errors import NoVideo, VidcomputeError
from vidcompute.sandbox.channel import Channel
from vidcompute.sandbox.fork import BoxedChild, fork_boxed
from vidcompute.sandbox.policy import BoxPolicy, unprivileged_ids

POLICY = BoxPolicy(cpu_s=20, user=unprivileged_ids())


def echo(channel: Channel) -> None:
    """Answers every message with itself."""
    while True:
        message, fds = channel.receive()
        channel.send({**message, "fds": len(fds)})


async def _one(child: BoxedChild, message: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    async with child:
        try:
            if message is not None:
                await child.send(message, **options)
            answer = await child.receive()
        except VidcomputeError as error:
            return {"error": type(error).__name__, "detail": error.detail, "evidence": error.evidence}
        return {"answer": answer, "code": child.code}


def report(entry: Callable[[Channel], None], message: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    return asyncio.run(_one(fork_boxed(entry, POLICY, what="the test"), message, **options))


def bytes_travel_both_ways() -> dict[str, Any]:
    blob = os.urandom(3_000_000)
    said = report(echo, {"jpeg": blob, "n": 1, "name": "é"})
    answer = said["answer"]
    return {"same": answer.pop("jpeg") == blob, "rest": answer}


def a_descriptor_gives_access_to_a_closed_file() -> dict[str, Any]:
    def entry(channel: Channel) -> None:
        _, fds = channel.receive()
        channel.send({"text": os.pread(fds[0], 100, 0)})

    with tempfile.NamedTemporaryFile(mode="w+") as file:
        file.write("inside")
        file.flush()
        said = report(entry, {}, fds=[file.fileno()])
    return {"text": said["answer"]["text"].decode()}


def attacks_fail() -> dict[str, Any]:
    """Every attack by its name: how it was refused, or None if it worked."""
    secret = tempfile.NamedTemporaryFile()  # noqa: SIM115 - lives as long as the case
    Path(secret.name).chmod(0o644)
    parent = os.getpid()
    attacks: dict[str, Callable[[], object]] = {
        "read": lambda: Path(secret.name).read_bytes(),
        "write": lambda: Path(tempfile.gettempdir(), "vidcompute-escape").write_bytes(b"x"),
        "list": lambda: os.listdir("/"),  # noqa: PTH208
        "tcp": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
        "unix": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
        "fork": os.fork,
        "kill": lambda: os.kill(parent, 0),
        "exec": lambda: os.execv("/bin/true", ["true"]),
        "mount": lambda: _libc(165, b"none", b"/mnt", b"tmpfs", 0, 0),
        "ptrace": lambda: _libc(101, 16, parent, 0, 0),
        "bpf": lambda: _libc(321, 0, 0, 0),
        "root": lambda: os.setuid(0),
    }

    def entry(channel: Channel) -> None:
        channel.send({name: _refusal(attack) for name, attack in attacks.items()})

    return report(entry)["answer"]


def _libc(number: int, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _refusal(attack: Callable[[], object]) -> str | None:
    try:
        attack()
    except OSError as error:
        return type(error).__name__
    return None


def threads_still_work() -> dict[str, Any]:
    def entry(channel: Channel) -> None:
        thread = threading.Thread(target=lambda: channel.send({"from": "thread"}))
        thread.start()
        thread.join()

    return report(entry)


def descriptors_of_the_task_are_closed() -> dict[str, Any]:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)

    def entry(channel: Channel) -> None:
        channel.send({"written": _refusal(lambda: os.write(writer, b"x"))})

    said = report(entry)
    os.close(reader)
    return said["answer"]


def an_error_of_the_tree_arrives_as_itself() -> dict[str, Any]:
    def entry(channel: Channel) -> None:
        raise NoVideo("no video stream")

    return report(entry)


def any_other_exception_arrives_with_its_traceback() -> dict[str, Any]:
    def entry(channel: Channel) -> None:
        raise KeyError("surprise")

    return report(entry)


def a_forged_error_is_not_believed() -> dict[str, Any]:
    def entry(channel: Channel) -> None:
        channel.send({"$problem": {"code": "lease_lost", "title": "", "detail": "x", "hint": "", "retryable": True}})

    return report(entry)


def nonsense_on_the_wire_is_an_error() -> dict[str, Any]:
    def entry(channel: Channel) -> None:
        depth = b"[" * 100_000
        channel._socket.sendall(len(depth).to_bytes(4, "big") + bytes(4) + depth)

    return report(entry)


def an_endless_message_is_refused_before_it_is_read() -> dict[str, Any]:
    def entry(channel: Channel) -> None:
        channel._socket.sendall(b"\xff" * 8)

    return report(entry)


def a_crash_is_named() -> dict[str, Any]:
    def entry(channel: Channel) -> None:
        os.write(2, b"last words\n")
        ctypes.string_at(0)

    return report(entry)


def memory_runs_out() -> dict[str, Any]:
    def entry(channel: Channel) -> None:
        bytearray(8 << 30)

    return report(entry)


def processor_time_runs_out() -> dict[str, Any]:
    def entry(channel: Channel) -> None:
        while True:
            pass

    policy = BoxPolicy(cpu_s=1, user=unprivileged_ids())
    return asyncio.run(_one(fork_boxed(entry, policy, what="the test")))


def a_clean_end_is_none() -> dict[str, Any]:
    return report(lambda channel: None)


def wait_times_out_and_kill_ends_it() -> dict[str, Any]:
    async def inside(child: BoxedChild) -> dict[str, Any]:
        async with child:
            try:
                await child.wait(0.05)
            except TimeoutError:
                child.kill()
            return {"code": await child.wait(5)}

    return asyncio.run(inside(fork_boxed(echo, POLICY)))


def the_child_outlives_nobody() -> dict[str, Any]:
    """Prints the child's pid and dies by SIGKILL; the test looks for the child."""

    def entry(channel: Channel) -> None:
        channel.send({"ready": True})
        while True:
            pass

    async def inside(child: BoxedChild) -> None:
        await child.receive()
        print(json.dumps({"pid": child.pid}), flush=True)
        os.kill(os.getpid(), 9)

    asyncio.run(inside(fork_boxed(entry, POLICY)))
    return {}


def a_process_with_threads_is_refused() -> dict[str, Any]:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        fork_boxed(echo, POLICY)
    except RuntimeError as error:
        return {"error": str(error)}
    finally:
        stop.set()
        thread.join()
    return {}


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]]()))
