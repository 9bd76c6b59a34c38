"""How an embedded server is set up: its settings, who may log in as what, and the command that runs it."""

from __future__ import annotations

import os
import pwd
import signal
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from vidcompute.store import pg_launcher
from vidcompute.store.pg_place import Place


class Role(StrEnum):
    """Who connects. `admin` makes roles and databases, `owner` migrates, `app` (all the rest) changes rows only."""

    ADMIN = "vidcompute_admin"
    OWNER = "vidcompute_owner"
    APP = "vidcompute_app"


#: A database beside encoders on one machine: small, safe, quiet. Each line says why it differs from the default.
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",  # no TCP at all
    "unix_socket_permissions": "0700",
    "shared_buffers": "64MB",  # a few hundred thousand rows; the page cache does the rest
    "max_connections": "100",  # one or two per task process, ten per service process
    "max_wal_size": "256MB",  # bounds the log on disk, and the recovery after a crash
    "min_wal_size": "48MB",
    "wal_compression": "on",
    "max_wal_senders": "0",  # nobody replicates from here …
    "wal_level": "minimal",  # … so bulk loads need not be logged for replicas
    "max_parallel_workers_per_gather": "0",  # the cores belong to the encoders
    "jit": "off",  # compiling costs more than our queries take
    "max_logical_replication_workers": "0",  # one process less
    "autovacuum_naptime": "15s",  # hot rows (progress) are cleaned before the table grows
    "logging_collector": "on",
    "log_filename": "postgres-%a.log",  # one file per weekday, overwritten a week later
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_file_mode": "0600",
    "log_min_duration_statement": "2s",
    "log_checkpoints": "off",
    "log_timezone": "UTC",
    "timezone": "UTC",
}


def as_account(place: Place, program: Path) -> list[str]:
    """The argv (without arguments) that runs `program` as the place's account, ended by SIGINT if we die."""
    who = place.account
    user = [str(who.uid), str(who.gid)] if who.switch else ["-", "-"]
    launcher = [sys.executable, "-I", "-S", str(Path(pg_launcher.__file__))]
    return [*launcher, *user, str(int(signal.SIGINT)), str(os.getpid()), str(program)]


def write_access(place: Place) -> None:
    """Who may connect: over the socket, our own operating system user and the server's, as one of our roles."""
    (place.conf / "pg_hba.conf").write_text("local all all peer map=vidcompute\n", "utf-8")
    users = {pwd.getpwuid(uid).pw_name for uid in (os.geteuid(), place.account.uid)}
    lines = [f'vidcompute "{user}" {role.value}\n' for user in sorted(users) for role in Role]
    (place.conf / "pg_ident.conf").write_text("".join(lines), "utf-8")
    for name in ("pg_hba.conf", "pg_ident.conf"):
        # Neither holds a secret; the server's user must be able to read them.
        (place.conf / name).chmod(0o644)
