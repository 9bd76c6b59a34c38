"""What a server's answer means, as an error of the tree or as a part of a resource."""

from __future__ import annotations

import re
from dataclasses import dataclass

import aiohttp

from vidcompute.errors import SourceForbidden, SourceMissing, SourceUnreachable, UnsupportedMedia

_GONE = {404, 410}
#: "Come back later" among the client errors; the others will not change by themselves.
_LATER = {408, 425, 429}
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes [start, …) of a resource of `total` bytes, if known; `validator` names its version for If-Range."""

    start: int
    total: int | None
    validator: str | None


def judge(response: aiohttp.ClientResponse, host: str) -> None:
    """Raises SourceMissing, SourceForbidden, SourceUnreachable or UnsupportedMedia unless the answer carries bytes."""
    status = response.status
    if status in _GONE:
        raise SourceMissing(f"{host} has nothing at this URL ({status})")
    if status in _LATER or status >= 500:
        raise SourceUnreachable(f"{host} answered {status}")
    if status >= 400:
        raise SourceForbidden(
            f"{host} refused the request ({status})",
            hint="Use a URL that works without logging in, for instance a signed one that has not expired.",
        )
    if status not in {200, 206}:
        raise SourceUnreachable(f"{host} answered {status}, which carries no resource")
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        # Unpacking would open the door to a few kilobytes that become terabytes.
        raise UnsupportedMedia(f"{host} sends the file compressed ({encoding[:20]}) though asked not to")


def part_of(response: aiohttp.ClientResponse, host: str) -> Part:
    """Which bytes the answer carries. Raises SourceUnreachable for a range that makes no sense."""
    validator = _validator(response)
    if response.status == 200:
        return Part(0, response.content_length, validator)
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    if match is None:
        raise SourceUnreachable(f"{host} answered with a part of the resource without saying which")
    return Part(int(match[1]), None if match[3] == "*" else int(match[3]), validator)


def _validator(response: aiohttp.ClientResponse) -> str | None:
    """A strong entity tag, else the date; None where the server names no version at all."""
    tag = response.headers.get("ETag", "")
    if tag.startswith('"'):
        return tag
    return response.headers.get("Last-Modified")
