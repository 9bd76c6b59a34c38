"""The zygote as its owner sees it: started, spoken to, and known to be dead."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any

from vidcompute.cluster import link
from vidcompute.sandbox import process

# `-I` and the explicit path: the zygote imports exactly what we would, and nothing from the current folder.
_BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from vidcompute.cluster.zygote import main; main()"

_STDERR = 2


class ForkServer:
    """One life of the zygote. When `on_end` is called, it and everything it started are dead."""

    def __init__(
        self, *, on_message: Callable[[dict[str, Any]], None], on_end: Callable[[], None], grace_s: float
    ) -> None:
        """`grace_s` is what the killing of everything may take before the guard is killed itself."""
        self._on_message = on_message
        self._on_end = on_end
        self._sock, self._theirs = link.pair()
        self._outbox: deque[tuple[dict[str, Any], tuple[int, ...]]] = deque()
        self._stack = AsyncExitStack()
        self._guard: asyncio.subprocess.Process | None = None
        self._grace_s = grace_s
        self.ended = False

    async def launch(self, *, entry: str, preload: Sequence[str], env: Mapping[str, str] | None) -> None:
        """Start the zygote; it may still be loading its modules when this returns. Raises TaskFailed."""
        with self._theirs:
            argv = [sys.executable, "-I", "-c", _BOOT, json.dumps(sys.path)]
            self._guard = await self._stack.enter_async_context(
                process.child(
                    [*argv, str(self._theirs.fileno()), str(os.getpid())],
                    stdout=process.DEVNULL,
                    # A zygote that cannot start says why where the operator looks.
                    stderr=_STDERR,
                    pass_fds=(self._theirs.fileno(),),
                    env=env,
                    grace_s=self._grace_s,
                )
            )
        asyncio.get_running_loop().add_reader(self._sock, self._readable)
        self.post({"op": "hello", "entry": entry, "preload": list(preload)})

    def post(self, message: dict[str, Any], *, fds: Sequence[int] = ()) -> None:
        """Send a message, now or as soon as there is room. Takes over `fds` and closes them."""
        self._outbox.append((message, tuple(fds)))
        if self.ended:
            self._drop_first()
        else:
            self._flush()

    async def close(self) -> None:
        """Kill the zygote and everything below it; returns when all is dead. `on_end` is not called.

        When cancelled the killing goes on by itself, and a second call waits for its end.
        """
        self._hang_up()
        if self._guard is not None:
            with suppress(TimeoutError):
                # Hanging up is the signal to die. The guard ends last; to kill it first would free what it hunts.
                async with asyncio.timeout(self._grace_s):
                    await self._guard.wait()
        await self._stack.aclose()

    def _readable(self) -> None:
        try:
            while (received := link.receive(self._sock)) is not None:
                self._on_message(received[0])
        except BlockingIOError:
            return
        # Both the zygote and its guard are gone: the guard goes last, after the last of their descendants.
        self._hang_up()
        self._on_end()

    def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        while self._outbox:
            message, fds = self._outbox[0]
            try:
                link.send(self._sock, message, fds=fds)
            except BlockingIOError:
                loop.add_writer(self._sock, self._flush)
                return
            except OSError:
                # Gone; the reader will see that too, and tell.
                break
            self._drop_first()
        loop.remove_writer(self._sock)

    def _drop_first(self) -> None:
        for fd in self._outbox.popleft()[1]:
            os.close(fd)

    def _hang_up(self) -> None:
        if self.ended:
            return
        self.ended = True
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._sock)
        loop.remove_writer(self._sock)
        self._sock.close()
        while self._outbox:
            self._drop_first()
