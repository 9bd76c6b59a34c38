"""The messages between a cluster and its zygote, over a SOCK_SEQPACKET socket pair.

owner → zygote: `hello` (once), `start` with three descriptors (order, events, output), `signal`.
zygote → owner: `ready` (once), `started` or `refused`, `exited` when a task and all it started are dead.
"""

from __future__ import annotations

import array
import json
import socket
from collections.abc import Sequence
from typing import Any

#: Specs and environments travel in a memory file of their own; these are small.
MAX_MESSAGE_BYTES = 64 * 1024
_MAX_FDS = 3


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected ends that keep message boundaries and never block."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (ours, theirs):
        end.settimeout(0)
    return ours, theirs


def send(sock: socket.socket, message: dict[str, Any], *, fds: Sequence[int] = ()) -> None:
    """Send one message. Raises BlockingIOError while the other side is behind, OSError if it is gone."""
    data = json.dumps(message).encode()
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sock.sendmsg([data], ancillary)


def receive(sock: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """The next message and its descriptors (close-on-exec); None when the other side is gone.

    Raises BlockingIOError if there is none yet.
    """
    space = socket.CMSG_SPACE(_MAX_FDS * array.array("i").itemsize)
    try:
        data, ancillary, _, _ = sock.recvmsg(MAX_MESSAGE_BYTES, space, socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:
        return None
    fds = array.array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
    if not data:
        return None
    message: dict[str, Any] = json.loads(data)
    return message, list(fds)
