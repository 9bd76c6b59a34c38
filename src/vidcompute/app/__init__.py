"""The composition root: configuration in, a running service out. Nothing below knows of `Config`."""

from vidcompute.app.service import Service, running, serve
from vidcompute.config import Config, Role, load

__all__ = ["Config", "Role", "Service", "load", "running", "serve"]
