"""The embedded server: whose it is, where it lies, and what it survives."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.fixtures.postgres import UNSAFE_BUT_FAST
from vidcompute.errors import InvalidConfig, StorageFull, StoreDown
from vidcompute.store import pg_place
from vidcompute.store.embedded import EmbeddedPostgres
from vidcompute.store.pg_settings import Role, as_account

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another user")

#: A service in miniature: starts the server, says so, and waits to be killed.
SERVICE = """
import asyncio, sys
from pathlib import Path
from vidcompute.store.embedded import EmbeddedPostgres

async def main():
    async with EmbeddedPostgres(Path(sys.argv[1])) as server:
        print(server.pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture
def open_folder():
    """A folder that every user may pass, as pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="vidcompute-pg-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def server_at(folder, **options):
    return EmbeddedPostgres(
        folder / "postgres", **{"system_root": folder / "system", "settings": UNSAFE_BUT_FAST} | options
    )


async def ask(url, statement):
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        cursor = await connection.execute(statement)
        return (await cursor.fetchone())[0] if cursor.description else None


def dead(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def until(condition, within_s=30.0):
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - another process tells nobody
            await asyncio.sleep(0.02)


def lock_file(place):
    try:
        return (place.data / "postmaster.pid").read_text()
    except FileNotFoundError:
        return ""


def run(argv, **options):
    """A program run to its end."""
    return subprocess.run(argv, capture_output=True, text=True, check=False, **options)


def spawn(argv):
    """A program that goes on beside the test, to be killed by it."""
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


async def test_what_was_stored_is_there_after_a_stop_and_a_start(open_folder):
    async with server_at(open_folder) as server:
        await ask(server.owner_url, "CREATE TABLE kept AS SELECT 42 AS x")
        first = server.pid

    async with server_at(open_folder) as server:
        assert await ask(server.owner_url, "SELECT x FROM kept") == 42
        assert dead(first)


async def test_after_stop_nothing_is_left_running(open_folder):
    async with server_at(open_folder) as server:
        family = psutil.Process(server.pid).children(recursive=True)

    for process in family:
        await until(lambda pid=process.pid: dead(pid))


async def test_it_listens_on_a_private_socket_and_nowhere_else(open_folder):
    async with server_at(open_folder) as server:
        run = server.place.run.stat()
        connections = psutil.Process(server.pid).net_connections(kind="inet")

        assert stat.S_IMODE(run.st_mode) == 0o700
        assert stat.S_IMODE(server.place.data.stat().st_mode) == 0o700
        assert connections == []
        assert len(os.fsencode(server.place.run / ".s.PGSQL.5432.lock")) <= 107


async def test_the_second_to_start_attaches_and_its_stop_leaves_the_server_alone(open_folder):
    async with server_at(open_folder) as first:
        async with server_at(open_folder) as second:
            assert second.pid == first.pid
            assert (first.owned, second.owned) == (True, False)

        assert await ask(first.url, "SELECT 1") == 1


async def test_a_killed_service_takes_its_server_along_and_loses_nothing(open_folder):
    with spawn([sys.executable, "-c", SERVICE, str(open_folder / "postgres")]) as service:
        while not (line := service.stdout.readline()).strip().isdecimal():
            assert line
        async with server_at(open_folder) as attached:
            await ask(attached.owner_url, "CREATE TABLE kept AS SELECT 42 AS x")
        service.kill()
    if sys.platform == "linux":
        await until(lambda: dead(int(line)))

    async with server_at(open_folder) as server:
        assert server.owned
        assert await ask(server.owner_url, "SELECT x FROM kept") == 42


async def test_a_server_that_outlived_its_service_is_adopted_and_stopped_with_us(open_folder):
    async with server_at(open_folder) as server:
        place = server.place
    programs = pg_place.programs(pg_place.shipped_programs(), place.account, system_root=open_folder / "system")
    argv = [
        *as_account(place, programs / "bin/postgres"),
        *("-D", str(place.data), "-c", f"unix_socket_directories={place.run}", "-c", "listen_addresses="),
        *("-c", f"hba_file={place.conf / 'pg_hba.conf'}", "-c", f"ident_file={place.conf / 'pg_ident.conf'}"),
    ]
    with spawn(argv) as orphan:
        await until(lambda: "ready" in lock_file(place))

        async with server_at(open_folder) as adopter:
            assert adopter.pid == orphan.pid
            assert adopter.owned
            assert await ask(adopter.url, "SELECT 1") == 1

        assert orphan.wait(timeout=10) == 0


async def test_a_server_that_is_killed_is_started_again(open_folder):
    async with server_at(open_folder) as server, asyncio.TaskGroup() as group:
        watch = group.create_task(server.supervise())
        victim = server.pid
        os.kill(victim, signal.SIGKILL)

        await until(lambda: str(victim) not in lock_file(server.place) and "ready" in lock_file(server.place))

        assert server.pid != victim
        assert await ask(server.url, "SELECT 1") == 1
        watch.cancel()


async def test_lock_files_whose_process_id_is_somebody_elses_now_do_not_stop_a_start(open_folder):
    async with server_at(open_folder) as server:
        place = server.place
    # As after the restart of a container: the id belongs to a living process of the same user, but not to a server.
    with spawn([*as_account(place, Path("/bin/sleep")), "60"]) as stranger:
        for path in (place.data / "postmaster.pid", place.run / ".s.PGSQL.5432.lock"):
            path.write_text(f"{stranger.pid}\n{place.data}\n1700000000\n5432\n{place.run}\n\n  1 1\nready   \n")

        async with server_at(open_folder) as again:
            assert again.pid != stranger.pid
            assert stranger.poll() is None
        stranger.kill()


async def test_a_first_start_that_was_cut_off_is_begun_anew(open_folder):
    async with server_at(open_folder) as server:
        place = server.place
    place.data.rename(place.base / "data.new")

    async with server_at(open_folder) as server:
        assert await ask(server.url, "SELECT 1") == 1


async def test_a_database_that_was_left_half_made_is_completed(open_folder):
    async with server_at(open_folder) as server:
        await ask(server.url_for(Role.ADMIN, database="postgres"), "DROP DATABASE vidcompute")
        await ask(server.url_for(Role.ADMIN, database="postgres"), "CREATE DATABASE vidcompute OWNER vidcompute_owner")

    async with server_at(open_folder) as server:
        assert await ask(server.url, "SELECT has_database_privilege('public', 'vidcompute', 'CONNECT')") is False


async def test_data_of_another_major_version_is_refused_with_what_to_do(open_folder):
    async with server_at(open_folder) as server:
        version = server.place.data / "PG_VERSION"
    version.write_text("15\n")

    with pytest.raises(InvalidConfig, match="PostgreSQL 15") as caught:
        await server_at(open_folder).start()

    assert "pg_upgrade" in caught.value.hint


async def test_a_server_that_cannot_start_says_its_last_words_and_leaves_no_lock(open_folder):
    broken = server_at(open_folder, settings={"shared_buffers": "no size"})

    with pytest.raises(StoreDown, match="shared_buffers"):
        await broken.start()

    async with server_at(open_folder) as server:
        assert server.owned


async def test_a_disk_without_room_is_said_before_anything_starts(open_folder):
    with pytest.raises(StorageFull, match="MiB are free"):
        pg_place.check_space(open_folder, 2**62)


async def test_a_folder_with_a_long_name_has_its_socket_elsewhere(open_folder):
    deep = open_folder / ("long" * 20) / ("name" * 10)
    deep.mkdir(parents=True)

    async with server_at(deep) as server:
        run = server.place.run
        assert await ask(server.url, "SELECT 1") == 1

    assert run.parent == Path("/tmp")
    assert stat.S_IMODE(run.stat().st_mode) == 0o700
    run.rmdir()


async def test_a_trap_in_place_of_a_private_folder_is_refused(open_folder):
    who = pg_place.account()
    shared, link, target = open_folder / "shared", open_folder / "link", open_folder / "target"
    shared.mkdir()
    shared.chmod(0o777)
    target.mkdir()
    link.symlink_to(target)

    for trap in (shared, link):
        with pytest.raises(InvalidConfig):
            pg_place.own_folder(trap, who)

    assert stat.S_IMODE(shared.stat().st_mode) == 0o777


@as_root
async def test_root_runs_it_as_somebody_else(open_folder):
    async with server_at(open_folder) as server:
        process = psutil.Process(server.pid)

        assert process.uids().effective == server.place.account.uid != 0
        assert process.gids().effective == server.place.account.gid != 0
        assert process.uids().saved != 0


@as_root
async def test_a_private_home_keeps_its_mode_and_the_data_lies_elsewhere(open_folder):
    home = open_folder / "home"
    home.mkdir(mode=0o700)
    before = home.stat()

    async with server_at(home, system_root=open_folder / "system") as server:
        await ask(server.owner_url, "CREATE TABLE kept AS SELECT 42 AS x")
        elsewhere = server.place.base
    async with server_at(home, system_root=open_folder / "system") as server:
        assert await ask(server.owner_url, "SELECT x FROM kept") == 42

    after = home.stat()
    assert elsewhere.parent == open_folder / "system"
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert [path.name for path in home.iterdir()] == ["postgres.location"]


@as_root
async def test_a_new_data_folder_at_an_old_path_does_not_inherit_the_old_database(open_folder):
    home = open_folder / "home"
    home.mkdir(mode=0o700)
    async with server_at(home, system_root=open_folder / "system") as server:
        first = server.place.base
    shutil.rmtree(home)
    home.mkdir(mode=0o700)

    async with server_at(home, system_root=open_folder / "system") as server:
        assert server.place.base != first


@as_root
def test_programs_that_the_servers_user_cannot_reach_are_copied_once_with_their_libraries(open_folder):
    shipped = pg_place.shipped_programs()
    private = open_folder / "venv"
    install = private / shipped.relative_to(shipped.parents[1])
    shutil.copytree(shipped, install, ignore=shutil.ignore_patterns("include", "*.a"))
    libraries = f"{shipped.parent.name}.libs"
    shutil.copytree(shipped.parents[1] / libraries, private / libraries)
    private.chmod(0o700)
    place = pg_place.Place(open_folder, pg_place.account())

    copy = pg_place.programs(install, place.account, system_root=open_folder / "system")
    again = pg_place.programs(install, place.account, system_root=open_folder / "system")

    assert copy == again != install
    for name in ("postgres", "initdb"):
        assert f"PostgreSQL) {pg_place.MAJOR}" in run([*as_account(place, copy / "bin" / name), "--version"]).stdout
    assert stat.S_IMODE(private.stat().st_mode) == 0o700


@as_root
async def test_other_users_cannot_reach_the_socket(open_folder):
    async with server_at(open_folder) as server:
        path = server.place.run / ".s.PGSQL.5432"
        stranger = next(uid for uid in range(65000, 65100) if uid != server.place.account.uid)
        code = f"import socket; socket.socket(socket.AF_UNIX).connect({str(path)!r})"
        refused = run(["/usr/bin/env", "python3", "-c", code], user=stranger)

    assert refused.returncode != 0
    assert "PermissionError" in refused.stderr
