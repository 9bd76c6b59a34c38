"""What the tasks of the cluster tests do: each function is an entry, run in a task process."""

import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path

from vidcompute.domain.task import TaskEvent, TaskEventKind
from vidcompute.errors import EncoderFailed


def run(spec, environment, emit):
    """Do what the spec's `do` parameter names."""
    return globals()[spec.params["do"]](spec, environment, emit)


def say(spec, emit, kind=TaskEventKind.PROGRESS, **data):
    emit(TaskEvent(spec.id, kind, data))


def hang():
    while True:
        signal.pause()


def echo(spec, environment, emit):
    return {"key": spec.key, "params": spec.params, "environment": environment, "kind": spec.kind}


def progress(spec, environment, emit):
    for percent in range(spec.params["steps"]):
        say(spec, emit, percent=percent)
    return {"steps": spec.params["steps"]}


def imposter(spec, environment, emit):
    emit(TaskEvent("somebody else", TaskEventKind.PROGRESS, {"percent": 1}))
    return {}


def premature(spec, environment, emit):
    say(spec, emit, TaskEventKind.DONE)
    return {}


def raise_known(spec, environment, emit):
    raise EncoderFailed("ffmpeg exited 1", evidence={"exit_code": 1})


def raise_grouped(spec, environment, emit):
    raise ExceptionGroup("unhandled", [EncoderFailed("ffmpeg exited 1")])


def raise_bug(spec, environment, emit):
    return {}["missing"]


def leave(spec, environment, emit):
    sys.exit(3)


def leave_at_once(spec, environment, emit):
    print("last words")
    os._exit(3)


def segfault(spec, environment, emit):
    ctypes.string_at(0)


def killed(spec, environment, emit):
    os.kill(os.getpid(), signal.SIGKILL)


def hang_forever(spec, environment, emit):
    say(spec, emit, pid=os.getpid())
    hang()


def ignore_sigterm(spec, environment, emit):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say(spec, emit, pid=os.getpid())
    while True:
        time.sleep(3600)


def polite(spec, environment, emit):
    def goodbye(*_):
        raise EncoderFailed("asked to stop")

    signal.signal(signal.SIGTERM, goodbye)
    say(spec, emit, pid=os.getpid())
    hang()


def family(spec, environment, emit):
    """A grandchild in a session of its own, and a daemon whose parent is gone; both deaf to SIGTERM, untied to us."""
    pids = [os.getpid()]
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.write(writer, b"%d\n" % os.getpid())
        hang()
    if (middle := os.fork()) == 0:
        if os.fork() == 0:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.write(writer, b"%d\n" % os.getpid())
            hang()
        os._exit(0)
    os.waitpid(middle, 0)
    heard = b""
    while heard.count(b"\n") < 3:
        heard += os.read(reader, 100)
    say(spec, emit, pids=[*pids, *map(int, heard.split())])
    if spec.params.get("then") == "finish":
        return {}
    return hang()


def print_much(spec, environment, emit):
    line = "x" * 99 + "\n"
    for _ in range(spec.params["bytes"] // 100):
        sys.stdout.write(line)
    sys.stdout.write("the very end\n")
    return {}


def print_a_little(spec, environment, emit):
    print("to stdout")
    print("to stderr", file=sys.stderr)
    os.system("echo from a child")
    return {}


def huge_event(spec, environment, emit):
    say(spec, emit, text="x" * (1 << 20))
    return {}


def huge_result(spec, environment, emit):
    return {"text": "x" * (1 << 20)}


def huge_evidence(spec, environment, emit):
    raise EncoderFailed("ffmpeg exited 1", evidence={"log": "x" * (1 << 20)})


def huge_raw_line(spec, environment, emit):
    (events_fd,) = [fd for fd in open_fds() if fd > 2]
    line = json.dumps({"task_id": spec.id, "kind": "progress", "data": {"text": "x" * (1 << 20)}}).encode()
    for part in (b"not json\n", line + b"\n", b'{"task_id": "", "kind": "lost", "data": {}}\n'):
        with open(events_fd, "wb", closefd=False) as pipe:
            pipe.write(part)
    return {}


def open_fds():
    links = list(Path("/proc/self/fd").iterdir())
    return sorted(int(link.name) for link in links if os.path.lexists(link))


def surroundings(spec, environment, emit):
    return {
        "fds": open_fds(),
        "session": os.getsid(0) == os.getpid(),
        "argv": Path("/proc/self/cmdline").read_bytes().decode(),
        "environ": Path("/proc/self/environ").read_bytes().decode(),
        "threads": len(list(Path("/proc/self/task").iterdir())),
        "sigterm": signal.getsignal(signal.SIGTERM) is signal.SIG_DFL,
        "blocked": len(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "omp": ctypes.CDLL(None).getenv(b"OMP_NUM_THREADS") != 0,
        "modules": "wave" in sys.modules,
    }
