"""Messages over a pair of sockets between a task and its boxed child.

On the wire: two big-endian lengths (u32 JSON, u32 binary tail), the JSON, the tail. A message is a JSON object whose
top-level values may also be bytes; those travel in the tail, in order, so that pictures are not base64. Descriptors
ride on the first byte (SCM_RIGHTS), towards the box only: what a box sends along is never taken.
"""

from __future__ import annotations

import array
import asyncio
import json
import os
import socket
import struct
from collections.abc import Sequence
from typing import Any

from vidcompute.errors import TaskFailed

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
_HEAD = struct.Struct("!II")
_MAX_FDS = 8


def encode(message: dict[str, Any]) -> bytes:
    """`message` as it goes over the wire. Raises TaskFailed if it is too long."""
    tail = [(name, value) for name, value in message.items() if isinstance(value, bytes | bytearray | memoryview)]
    inside = {name for name, _ in tail}
    body = {
        "message": {name: value for name, value in message.items() if name not in inside},
        "binary": [[name, len(value)] for name, value in tail],
    }
    text = json.dumps(body, separators=(",", ":")).encode()
    head = _HEAD.pack(len(text), sum(len(value) for _, value in tail))
    packed = b"".join([head, text, *(value for _, value in tail)])
    _check_length(len(packed) - _HEAD.size)
    return packed


def decode_head(head: bytes) -> tuple[int, int]:
    """Lengths in bytes of JSON and tail. Raises TaskFailed if together they are too long."""
    text_bytes, tail_bytes = _HEAD.unpack(head)
    _check_length(text_bytes + tail_bytes)
    return text_bytes, tail_bytes


def decode_body(text: bytes, tail: bytes) -> dict[str, Any]:
    """The message. The other end is not trusted: anything odd is TaskFailed."""
    try:
        body = json.loads(text)
        message: dict[str, Any] = dict(body["message"])
        at = 0
        for name, length in body["binary"]:
            message[str(name)] = tail[at : at + int(length)]
            at += int(length)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise TaskFailed("The boxed process sent something that is not a message") from error
    return message


def _check_length(length: int) -> None:
    if length > MAX_MESSAGE_BYTES:
        raise TaskFailed(f"A message of {length} bytes between a task and its boxed process is over the limit")


class ChannelClosed(Exception):
    """The task is gone, or wants nothing more. Not EOFError: decoders raise subclasses of that for their own reasons."""


class Channel:
    """The end inside the box: blocking calls, no event loop needed."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def send(self, message: dict[str, Any]) -> None:
        """Send an object whose top-level values are JSON or bytes."""
        self._socket.sendall(encode(message))

    def receive(self) -> tuple[dict[str, Any], list[int]]:
        """The next message and the descriptors that came with it, now ours. Raises ChannelClosed at the end."""
        head, fds = self._head()
        text_bytes, tail_bytes = decode_head(head)
        return decode_body(self._exactly(text_bytes), self._exactly(tail_bytes)), fds

    def _head(self) -> tuple[bytes, list[int]]:
        fds = array.array("i")
        room = socket.CMSG_SPACE(_MAX_FDS * fds.itemsize)
        # MSG_CMSG_CLOEXEC: nothing that is started from here may inherit what we were given.
        first, extras, _, _ = self._socket.recvmsg(1, room, socket.MSG_CMSG_CLOEXEC)
        for level, kind, data in extras:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
        if not first:
            raise ChannelClosed
        return first + self._exactly(_HEAD.size - 1), list(fds)

    def _exactly(self, length: int) -> bytes:
        pieces = bytearray()
        while len(pieces) < length:
            piece = self._socket.recv(min(length - len(pieces), 1 << 20))
            if not piece:
                raise ChannelClosed
            pieces += piece
        return bytes(pieces)


class TaskEnd:
    """The end of the trusted task: awaits on the running loop, no threads."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(0)
        self._socket = sock

    async def send(self, message: dict[str, Any], *, fds: Sequence[int] = ()) -> None:
        """Send an object; the other end gets duplicates of `fds`. Raises BrokenPipeError if the child is gone."""
        packed = encode(message)
        if len(fds) > _MAX_FDS:
            raise ValueError(f"at most {_MAX_FDS} descriptors in one message")
        sent = await self._first_byte(packed[:1], fds) if fds else 0
        await asyncio.get_running_loop().sock_sendall(self._socket, packed[sent:])

    async def _first_byte(self, byte: bytes, fds: Sequence[int]) -> int:
        while True:
            try:
                return socket.send_fds(self._socket, [byte], list(fds))
            except BlockingIOError:
                await _ready_to_write(self._socket)

    async def receive(self) -> dict[str, Any] | None:
        """The next message; None at the end. Descriptors sent along are dropped by the kernel: recv takes none."""
        head = await self._exactly(_HEAD.size)
        if head is None:
            return None
        text_bytes, tail_bytes = decode_head(head)
        text, tail = await self._exactly(text_bytes), await self._exactly(tail_bytes)
        return None if text is None or tail is None else decode_body(text, tail)

    async def _exactly(self, length: int) -> bytes | None:
        loop = asyncio.get_running_loop()
        pieces = bytearray()
        while len(pieces) < length:
            try:
                piece = await loop.sock_recv(self._socket, min(length - len(pieces), 1 << 20))
            except ConnectionResetError:
                return None
            if not piece:
                return None
            pieces += piece
        return bytes(pieces)

    def close(self) -> None:
        """The child reads an end of file."""
        self._socket.close()


async def _ready_to_write(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    # A duplicate: the loop allows one writer per descriptor, and this must not disturb another's.
    watched = os.dup(sock.fileno())
    loop.add_writer(watched, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_writer(watched)
        os.close(watched)
