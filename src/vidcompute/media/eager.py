"""Imports all of PyAV at once: it loads parts of itself at first use, and inside the box that is too late.

Importing this module is the whole point. The zygote does it once for all tasks.
"""

from __future__ import annotations

import importlib
import pkgutil

import av

#: Not needed to read media: a command line, and a module that downloads samples.
_SKIPPED = ("av.__main__", "av.datasets")


def _import_all() -> list[str]:
    names = [module.name for module in pkgutil.walk_packages(av.__path__, "av.") if module.name not in _SKIPPED]
    for name in names:
        importlib.import_module(name)
    return names


#: What was imported, for the curious and for tests.
LOADED = tuple(_import_all())
