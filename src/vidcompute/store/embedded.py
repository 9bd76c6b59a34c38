"""A PostgreSQL server of our own, from the binaries of a wheel: started, watched, stopped, taken over after a crash.

It listens on a Unix socket in a private folder and nowhere else; the kernel says who connects (peer), so there is no
password to keep. When this process dies by `kill -9`, the kernel sends the server SIGINT, its fast and clean stop;
where that is not possible, the next start finds the server running and adopts it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import IO, Self
from urllib.parse import quote

from vidcompute.errors import StoreDown
from vidcompute.monitor import get_logger
from vidcompute.sandbox import process
from vidcompute.store import pg_place
from vidcompute.store.pg_bootstrap import ensure_database
from vidcompute.store.pg_place import SYSTEM_ROOT, Place
from vidcompute.store.pg_postmaster import Postmaster
from vidcompute.store.pg_settings import SETTINGS, Role, as_account, write_access

DATABASE = "vidcompute"
_INITDB_BYTES = 256 * 1024**2
_START_BYTES = 48 * 1024**2
#: Recovery after a crash replays the log since the last checkpoint before anybody may connect.
_READY_TIMEOUT_S = 120.0
_FAST_STOP_S = 15.0
_IMMEDIATE_STOP_S = 5.0
_POLL_S = 0.01


class EmbeddedPostgres:
    """The server of one folder. An async context: inside, it accepts connections.

    The first to start owns it and stops it; others that start meanwhile (a command beside the service) only attach.
    """

    def __init__(
        self, folder: Path, *, system_root: Path = SYSTEM_ROOT, settings: Mapping[str, str] | None = None
    ) -> None:
        """`folder` holds data, socket and logs, and is made here; `system_root` is where root keeps what the unprivileged server must reach; `settings` add to SETTINGS."""
        self._folder = folder
        self._system_root = system_root
        self._settings = {**SETTINGS, **(settings or {})}
        self._place: Place | None = None
        self._postmaster: Postmaster | None = None
        self._stack = AsyncExitStack()
        self._log = get_logger("postgres")
        self.owned = False

    async def __aenter__(self) -> Self:
        """Start or attach."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop, if it is ours."""
        await self.stop()

    @property
    def url(self) -> str:
        """For the service and its tasks: may change rows, not tables."""
        return self.url_for(Role.APP)

    @property
    def owner_url(self) -> str:
        """For migrations."""
        return self.url_for(Role.OWNER)

    def url_for(self, role: Role, *, database: str = DATABASE) -> str:
        """How `role` connects to `database` of this server."""
        return f"postgresql://{role.value}@/{database}?host={quote(str(self._found.run), safe='')}"

    @property
    def pid(self) -> int:
        """Process id of the server."""
        if self._postmaster is None:
            raise StoreDown("the embedded database is not running")
        return self._postmaster.pid

    @property
    def place(self) -> Place:
        """Where its files are, once started."""
        return self._found

    async def start(self) -> None:
        """Return when the server accepts connections and the database exists.

        Raises InvalidConfig (wrong folder or version), StorageFull, or StoreDown with the server's own last words.
        """
        started_s = time.monotonic()
        async with AsyncExitStack() as stack:
            who = pg_place.account()
            place = self._place = pg_place.locate(self._folder, who, system_root=self._system_root)
            self.owned = await self._lock(stack, place)
            if not self.owned:
                await self._attach(place)
            else:
                await self._serve(stack, place)
                await ensure_database(
                    self.url_for(Role.ADMIN, database="postgres"), name=DATABASE, owner=Role.OWNER, app=Role.APP
                )
            self._stack = stack.pop_all()
        took_ms = round((time.monotonic() - started_s) * 1000)
        self._log.info("postgres.ready", pid=self.pid, owned=self.owned, data=str(place.data), ms=took_ms)

    async def stop(self) -> None:
        """Stop the server if it is ours: fast (sessions are ended, everything is flushed), harder if that hangs."""
        await self._stack.aclose()
        self._postmaster = None

    async def supervise(self) -> None:
        """Until cancelled: start the server again whenever it vanishes (killed for memory, say)."""
        while True:
            await self._watched.wait()
            self._log.error("postgres.died", data=str(self._found.data))
            await self.stop()
            await self.start()

    # ---- who owns the folder

    async def _lock(self, stack: AsyncExitStack, place: Place) -> bool:
        """Whether the folder is now held by us. The kernel lets go of it when we die, however we die."""
        lock = os.open(place.base / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        stack.callback(os.close, lock)
        return True

    async def _attach(self, place: Place) -> None:
        async with _patience(f"the process that holds {place.base} did not bring its database up"):
            while True:
                found = Postmaster.find(place)
                if found is not None and found.ready:
                    self._postmaster = found
                    return
                await asyncio.sleep(_POLL_S * 5)

    async def _serve(self, stack: AsyncExitStack, place: Place) -> None:
        programs = pg_place.programs(pg_place.shipped_programs(), place.account, system_root=self._system_root)
        fresh = not pg_place.check_version(place.data)
        pg_place.check_space(place.data, _INITDB_BYTES if fresh else _START_BYTES)
        if fresh:
            await self._initdb(place, programs)
        write_access(place)
        running = await self._survivor(place)
        if running is None:
            await self._launch(stack, place, programs)
        else:
            self._log.info("postgres.adopted", pid=running.pid)
            self._postmaster = running
            stack.push_async_callback(self._halt)

    async def _survivor(self, place: Place) -> Postmaster | None:
        """A server left over from a crash of ours that still works; whatever else is left is waited for."""
        found = Postmaster.find(place)
        if found is not None:
            async with _patience(f"an earlier server (process {found.pid}) neither answers nor ends"):
                while found.alive:
                    if found.ready and found.accepts_connections():
                        return found
                    await asyncio.sleep(_POLL_S)
        if Postmaster.left_lock(place):
            async with _patience(f"sessions of an earlier server still work in {place.data}, and do not end"):
                while Postmaster.sessions(place):  # noqa: ASYNC110 - not our children: nobody tells of their end
                    await asyncio.sleep(_POLL_S)
            Postmaster.clear_lock(place)
        return None

    # ---- starting and stopping

    async def _initdb(self, place: Place, programs: Path) -> None:
        # Made beside and renamed when complete: half a cluster would look like one at the next start.
        new = place.base / "data.new"
        if new.exists():
            shutil.rmtree(new)
        # The database's own Unicode rules (builtin C.UTF-8) fold case in every script and sort by code point, the
        # same on every machine: no operating system upgrade can ever corrupt an index.
        pg_place.own_folder(new, place.account)
        done = await process.run(
            [
                *as_account(place, programs / "bin/initdb"),
                *("-D", str(new), "-U", Role.ADMIN, "-E", "UTF8"),
                *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
                *("--auth-local=peer", "--auth-host=reject", "--no-instructions"),
            ],
            timeout_s=120.0,
            cwd=Path("/"),
        )
        if done.code != 0:
            raise StoreDown(
                f"the database could not be created in {place.data}: {done.stderr_tail.strip() or done.stdout[-500:]!r}",
                evidence={"exit_code": done.code, "stderr_tail": done.stderr_tail},
            )
        new.rename(place.data)

    async def _launch(self, stack: AsyncExitStack, place: Place, programs: Path) -> None:
        argv = [*as_account(place, programs / "bin/postgres"), "-D", str(place.data)]
        own = {
            "unix_socket_directories": str(place.run),
            "hba_file": str(place.conf / "pg_hba.conf"),
            "ident_file": str(place.conf / "pg_ident.conf"),
            "log_directory": str(place.log),
        }
        for name, value in {**self._settings, **own}.items():
            argv += ["-c", f"{name}={value}"]
        words = place.base / "start.log"
        output = stack.enter_context(_private_file(words))
        server = await stack.enter_async_context(
            process.child(argv, stdout=output, stderr=process.STDOUT, cwd=Path("/"), grace_s=_IMMEDIATE_STOP_S)
        )
        self._postmaster = Postmaster(place, server.pid, server)
        stack.push_async_callback(self._halt)
        async with _patience("the database did not become ready"):
            while not self._postmaster.ready:
                if server.returncode is not None:
                    raise StoreDown(
                        f"the database did not start: {_last_words(words)}",
                        hint=f"Its log is in {place.log}.",
                        evidence={"exit_code": server.returncode},
                    )
                await asyncio.sleep(_POLL_S)

    async def _halt(self) -> None:
        """SIGINT is the fast stop; SIGQUIT leaves a recovery for the next start; only then does `child` kill."""
        server = self._watched
        for number, patience_s in ((signal.SIGINT, _FAST_STOP_S), (signal.SIGQUIT, _IMMEDIATE_STOP_S)):
            server.signal(number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience_s):
                    await server.wait()
                    return
        self._log.error("postgres.stuck", pid=server.pid)

    @property
    def _found(self) -> Place:
        if self._place is None:
            raise StoreDown("the embedded database was not started")
        return self._place

    @property
    def _watched(self) -> Postmaster:
        assert self._postmaster is not None
        return self._postmaster


@contextlib.contextmanager
def _private_file(path: Path) -> Iterator[IO[bytes]]:
    descriptor = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        yield file


def _last_words(path: Path) -> str:
    lines = [line for line in path.read_text("utf-8", "replace").splitlines() if line.strip()]
    return " / ".join(lines[-5:]) or "it said nothing"


@asynccontextmanager
async def _patience(complaint: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(_READY_TIMEOUT_S):
            yield
    except TimeoutError as error:
        raise StoreDown(f"{complaint} within {_READY_TIMEOUT_S:g} s") from error
