"""Content negotiation (RFC 9110 §12.5.1), as much of it as an API needs."""

from __future__ import annotations

from collections.abc import Sequence


def best(accept: str | None, offered: Sequence[str]) -> str | None:
    """The type of `offered` (in our order of preference) that `accept` likes best; None if it likes none."""
    if not accept or not accept.strip():
        return offered[0]
    wishes = [_wish(item) for item in accept.split(",")]
    scored = [(max((_quality(wish, kind) for wish in wishes), default=(0, 0.0))[1], kind) for kind in offered]
    top = max(score for score, _ in scored)
    return next((kind for score, kind in scored if score == top and score > 0), None)


def _wish(item: str) -> tuple[str, float]:
    kind, *parameters = (part.strip() for part in item.split(";"))
    quality = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                quality = min(1.0, max(0.0, float(value)))
            except ValueError:
                quality = 0.0
    return kind.lower(), quality


def _quality(wish: tuple[str, float], kind: str) -> tuple[int, float]:
    """(how exactly the wish names `kind`, its quality): the most exact wish decides."""
    pattern, quality = wish
    if pattern == kind:
        return 3, quality
    if pattern == kind.split("/", maxsplit=1)[0] + "/*":
        return 2, quality
    return (1, quality) if pattern == "*/*" else (0, 0.0)
