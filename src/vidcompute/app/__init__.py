"""The composition root: configuration in, a running service out. Nothing below knows of `Config`."""

from vidcompute.app.doctor import Check, doctor_checks
from vidcompute.app.explain import explain
from vidcompute.app.parts import migrate_store as migrate
from vidcompute.app.parts import version
from vidcompute.app.service import Service, load_config, running, serve

__all__ = [
    "Check",
    "Service",
    "doctor_checks",
    "explain",
    "load_config",
    "migrate",
    "running",
    "serve",
    "version",
]
