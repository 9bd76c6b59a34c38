"""Write docs/reference/configuration.md from the configuration model, so that the two cannot disagree."""

from __future__ import annotations

import sys
import typing
from enum import StrEnum
from pathlib import Path
from types import NoneType, UnionType

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from vidcompute.config import PREFIX, Config

TARGET = Path(__file__).parent.parent / "docs" / "reference" / "configuration.md"
HEAD = f"""# Configuration

Keys are read from `vidcompute.yaml` (in lower case), overridden by the environment (`{PREFIX}` and the key), overridden by the command line.
A wrong or unknown key stops the start; the message lists every one, its value and what is allowed.

| key | default | allowed | meaning |
|---|---|---|---|
"""


def allowed(annotation: object, field: FieldInfo) -> str:
    """What may stand there, in words."""
    kinds = [
        kind
        for kind in (
            typing.get_args(annotation) if typing.get_origin(annotation) in {UnionType, typing.Union} else (annotation,)
        )
        if kind is not NoneType
    ]
    kind = typing.get_args(kinds[0])[0] if typing.get_origin(kinds[0]) is typing.Annotated else kinds[0]
    kind = typing.get_origin(kind) or kind
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return ", ".join(f"`{item.value}`" for item in kind)
    bounds = [
        f"{sign} {getattr(rule, name)}"
        for rule in field.metadata
        for cls, name, sign in ((Ge, "ge", "≥"), (Gt, "gt", ">"), (Le, "le", "≤"), (Lt, "lt", "<"))
        if isinstance(rule, cls)
    ]
    name = getattr(kind, "__name__", str(kind))
    words = {"SecretStr": "text (secret)", "Path": "path", "str": "text", "tuple": "list", "bool": "true, false"}
    return ", ".join([words.get(name, name), *bounds])


def default(name: str, field: FieldInfo) -> str:
    """What holds if nothing is said."""
    if name == "data_dir":
        return "the user's data folder; `/var/lib/vidcompute` for root"
    value = field.default
    if value is None or value is PydanticUndefined or value == ():
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def text() -> str:
    """The whole page."""
    rows = [
        f"| `{name.upper()}` | {default(name, field)} | {allowed(field.annotation, field)} | {field.description} |"
        for name, field in Config.model_fields.items()
    ]
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(text(), encoding="utf-8")
    sys.stdout.write(f"{TARGET}\n")
