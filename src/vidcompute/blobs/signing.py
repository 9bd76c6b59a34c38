"""URLs that let anybody use one object by one method until a moment in time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
from collections.abc import Mapping
from urllib.parse import quote, urlencode


def signed_query(
    secret: bytes, *, method: str, key: str, expires_at: float, filename: str | None = None
) -> dict[str, str]:
    """The query parameters that make a URL for `key` valid until `expires_at` (seconds since the epoch)."""
    query = {"expires": str(math.ceil(expires_at))}
    if filename is not None:
        query["filename"] = filename
    return {**query, "signature": _signature(secret, method, key, query)}


def is_signed(secret: bytes, *, method: str, key: str, query: Mapping[str, str], now: float) -> bool:
    """Whether `query` holds our signature over this method and key, and its time has not come."""
    given = query.get("signature", "")
    expected = _signature(secret, method, key, query)
    # The comparison comes first and takes the same time for every wrong signature; only then is `expires` believed.
    if not hmac.compare_digest(given.encode(errors="replace"), expected.encode()):
        return False
    return now < int(query["expires"])


def signed_path(prefix: str, key: str, query: Mapping[str, str]) -> str:
    """`prefix/key?query`, percent-encoded."""
    return f"{prefix}/{quote(key)}?{urlencode(query)}"


def _signature(secret: bytes, method: str, key: str, query: Mapping[str, str]) -> str:
    # JSON, because joining with a separator that a key or a file name may contain lets one be taken for another.
    text = json.dumps([method, key, query.get("expires"), query.get("filename")])
    digest = hmac.new(secret, text.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
