"""Where the built dashboard lies, if it was built."""

from __future__ import annotations

from pathlib import Path

import vidcompute


def web_dir() -> Path | None:
    """The folder of built pages inside the package, or None in a checkout without `make web`."""
    folder = Path(vidcompute.__file__).parent / "web"
    return folder if (folder / "index.html").is_file() else None
