"""Fetching: what arrives, what is refused, what is said."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from tests.unit.net.server import BODY, Server, running
from vidcompute.errors import (
    LimitExceeded,
    SourceForbidden,
    SourceMissing,
    SourceUnreachable,
    UnsupportedMedia,
    VidcomputeError,
)
from vidcompute.net.fetch import Fetcher, FetchSettings

OPEN = FetchSettings(max_bytes=10_000_000, allow_private_networks=True, resume_pause_s=0.0)
CLOSED = FetchSettings(max_bytes=10_000_000)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as server:
        yield server


class Names(AbstractResolver):
    """Resolves every name to one address."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        family = socket.AF_INET6 if ":" in self._address else socket.AF_INET
        return [ResolveResult(hostname=host, host=self._address, port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        pass


async def fetch(url: str, settings: FetchSettings = OPEN, resolver: AbstractResolver | None = None) -> bytes:
    async with Fetcher(settings, resolver=resolver) as fetcher, fetcher.open(url) as fetched:
        return b"".join([piece async for piece in fetched.chunks()])


async def test_a_file_arrives_whole_with_its_size(server: Server) -> None:
    async with Fetcher(OPEN).open(server.at("/whole")) as fetched:
        body = b"".join([piece async for piece in fetched.chunks()])

    assert body == BODY
    assert (fetched.size_bytes, fetched.content_type) == (len(BODY), "video/mp4")


async def test_a_file_of_unknown_size_arrives_whole(server: Server) -> None:
    async with Fetcher(OPEN).open(server.at("/chunked")) as fetched:
        body = b"".join([piece async for piece in fetched.chunks()])

    assert (body, fetched.size_bytes) == (BODY, None)


async def test_compression_is_asked_not_to_happen_and_refused_if_it_does(server: Server) -> None:
    with pytest.raises(UnsupportedMedia, match="gzip"):
        await fetch(server.at("/compressed"))

    assert server.headers[0]["Accept-Encoding"] == "identity"


async def test_a_broken_transfer_goes_on_where_it_stopped(server: Server) -> None:
    assert await fetch(server.at("/breaks")) == BODY

    ranges = [asked for _, asked in server.requests]
    assert ranges[0] is None
    assert len(ranges) > 1
    assert all(asked is not None and asked.startswith("bytes=") for asked in ranges[1:])


@pytest.mark.parametrize(
    "path", ["/breaks-without-tag", "/breaks-weak-tag", "/breaks-without-ranges", "/breaks-and-changes"]
)
async def test_halves_of_what_may_be_two_versions_are_never_joined(server: Server, path: str) -> None:
    with pytest.raises(SourceUnreachable):
        await fetch(server.at(path))


async def test_a_transfer_that_breaks_too_often_is_given_up(server: Server) -> None:
    with pytest.raises(SourceUnreachable, match="broke the transfer off 3 times"):
        await fetch(server.at("/breaks"), replace(OPEN, resumes=2))


async def test_a_server_that_falls_silent_is_given_up(server: Server) -> None:
    with pytest.raises(SourceUnreachable):
        await fetch(server.at("/silent"), replace(OPEN, idle_timeout_s=0.1, resumes=0))


async def test_a_fetch_has_an_end_even_if_bytes_trickle(server: Server) -> None:
    with pytest.raises(SourceUnreachable):
        await fetch(server.at("/silent"), replace(OPEN, total_timeout_s=0.1, resumes=1))


@pytest.mark.parametrize("path", ["/whole", "/chunked"])
async def test_more_than_the_limit_is_refused(server: Server, path: str) -> None:
    with pytest.raises(LimitExceeded):
        await fetch(server.at(path), replace(OPEN, max_bytes=len(BODY) - 1))

    assert await fetch(server.at(path), replace(OPEN, max_bytes=len(BODY))) == BODY


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (404, SourceMissing), (410, SourceMissing), (401, SourceForbidden), (403, SourceForbidden),
        (405, SourceForbidden), (408, SourceUnreachable), (429, SourceUnreachable), (500, SourceUnreachable),
        (503, SourceUnreachable), (204, SourceUnreachable), (304, SourceUnreachable),
    ],
)  # fmt: skip
async def test_the_status_decides_whether_to_try_again(
    server: Server, code: int, expected: type[VidcomputeError]
) -> None:
    with pytest.raises(expected, match=str(code)):
        await fetch(server.at(f"/status/{code}"))


async def test_a_redirect_is_followed(server: Server) -> None:
    assert await fetch(server.at("/redirect?to=/whole")) == BODY


async def test_redirects_have_an_end(server: Server) -> None:
    with pytest.raises(SourceUnreachable, match="redirects more than 5 times"):
        await fetch(server.at("/loop"))

    assert len(server.requests) == 6


@pytest.mark.parametrize(
    "to",
    ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://169.254.169.254/", "//169.254.169.254/", "http://u:p@a/", ""],
)
async def test_a_redirect_is_judged_like_the_first_url(server: Server, to: str) -> None:
    with pytest.raises((SourceForbidden, SourceUnreachable)):
        await fetch(server.at(f"/redirect?to={to}"))


async def test_cookies_are_not_carried(server: Server) -> None:
    await fetch(server.at("/cookie"))

    assert "Cookie" not in server.headers[-1]


async def test_a_proxy_from_the_environment_is_not_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    assert await fetch(server.at("/whole")) == BODY


def words(text: str) -> list[str]:
    return text.split()


LITERALS = words("""
127.0.0.1 localhost 2130706433 0x7f000001 017700000001 127.1 0 0.0.0.0 [::1] [::ffff:127.0.0.1] [::ffff:7f00:1]
[64:ff9b::7f00:1] [2002:7f00:1::] ①②⑦.⓪.⓪.① 127。0。0。1 169.254.169.254 10.0.0.1 100.64.0.1 [fd00:ec2::254]
[fe80::1%25lo] 198.18.0.1 224.0.0.1 255.255.255.255
""")


@pytest.mark.parametrize("host", LITERALS)
async def test_no_spelling_of_an_inner_address_is_dialled(server: Server, host: str) -> None:
    settings = replace(CLOSED, ports=frozenset({server.port}), connect_timeout_s=2.0)

    # Unreachable where this system's resolver does not know the spelling; never an answer.
    with pytest.raises((SourceForbidden, SourceUnreachable)):
        await fetch(server.at("/whole", host), settings)

    assert server.requests == []


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.1.2.3", "169.254.169.254"])
async def test_a_name_that_leads_inside_is_refused_without_saying_where(server: Server, address: str) -> None:
    settings = replace(CLOSED, ports=frozenset({server.port}))

    with pytest.raises(SourceForbidden) as caught:
        await fetch(server.at("/whole", "video.example"), settings, Names(address))

    assert "video.example" in caught.value.detail
    assert address not in str(caught.value.problem())
    assert server.requests == []


async def test_private_networks_open_by_choice_still_keep_credentials_closed() -> None:
    with pytest.raises(SourceForbidden):
        await fetch("http://video.example/", OPEN, Names("169.254.169.254"))


@pytest.mark.parametrize(
    "url",
    ["http://example.com:22/", "https://example.com:8443/", "http://user@example.com/", "http://:pw@example.com/",
     "http:///x", "http://", "ftp://example.com/", "http://example.com:99999/", "http://[::1/", "http://e/" + "x" * 9000],
)  # fmt: skip
async def test_an_odd_url_is_refused_before_any_connection(url: str) -> None:
    with pytest.raises(SourceForbidden):
        await fetch(url, CLOSED, Names("127.0.0.1"))


async def test_nobody_at_the_port_is_unreachable_and_names_no_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    with pytest.raises(SourceUnreachable) as caught:
        await fetch(f"http://video.example:{port}/", OPEN, Names("127.0.0.1"))

    assert "127.0.0.1" not in str(caught.value.problem())


async def test_https_to_a_server_without_tls_says_so(server: Server) -> None:
    with pytest.raises(SourceUnreachable, match="TLS"):
        await fetch(server.at("/whole").replace("http:", "https:"))
