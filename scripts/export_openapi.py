"""Writes docs/openapi.yaml from the code. A test fails when the two differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from vidcompute.api.app import bare_app
from vidcompute.api.settings import ApiSettings
from vidcompute.monitor import get_logger

TARGET = Path(__file__).resolve().parent.parent / "docs" / "openapi.yaml"


class _NoMetrics:
    """Nothing is counted while describing."""

    def observe(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Not called."""


def document() -> dict[str, Any]:
    """The description, as plain data. Its version is the API's, not the package's: it changes when the API does."""
    app = bare_app(ApiSettings(max_upload_bytes=1, version="1"), metrics=_NoMetrics(), log=get_logger("openapi"))
    described: dict[str, Any] = app.openapi()
    return described


def main() -> None:
    """Write the file."""
    TARGET.parent.mkdir(exist_ok=True)
    text = yaml.safe_dump(document(), sort_keys=False, allow_unicode=True, width=120)
    TARGET.write_text("# Made by scripts/export_openapi.py; do not edit.\n" + text, encoding="utf-8")


if __name__ == "__main__":
    main()
