"""The guard of a keyless loopback bind."""

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from vidcompute.api.guard import LoopbackGuard, host_name, is_loopback


def guarded(**options) -> httpx.AsyncClient:
    async def answer(_request):
        return PlainTextResponse("served")

    app = Starlette(routes=[Route("/", answer, methods=["GET", "POST"])])
    guard = LoopbackGuard(app, **{"allowed_hosts": (), "origins": (), **options})
    return httpx.AsyncClient(transport=httpx.ASGITransport(guard), base_url="http://127.0.0.1:8080")


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8080", "localhost.", "127.0.0.1:8080", "127.9.9.9", "[::1]:8080", "a.localhost:9000"],
)
async def test_names_that_can_only_mean_this_machine_are_served(host):
    async with guarded() as client:
        response = await client.get("/", headers={"Host": host})

    assert response.status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "evil.example/localhost",
        "192.168.1.4",
        "0.0.0.0",
        "",
        "localhost:notaport",
        "[::1",
    ],
)
async def test_a_name_that_was_rebound_to_this_machine_is_refused(host):
    async with guarded() as client:
        response = await client.get("/", headers={"Host": host})

    assert response.status_code == 403
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "forbidden"


async def test_a_host_that_was_allowed_is_served_on_any_port():
    async with guarded(allowed_hosts=("Video.Lan",)) as client:
        response = await client.get("/", headers={"Host": "video.lan:8080"})

    assert response.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Origin": "https://127.0.0.1:8080"},
        {"Origin": "http://127.0.0.1:8080.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_a_foreign_page_cannot_change_anything(headers):
    async with guarded() as client:
        response = await client.post("/", headers=headers)

    assert response.status_code == 403


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": "http://127.0.0.1:8080"}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}],
)
async def test_our_own_page_and_programs_can(headers):
    async with guarded() as client:
        response = await client.post("/", headers=headers)

    assert response.status_code == 200


async def test_an_origin_that_was_allowed_can():
    async with guarded(origins=("https://app.example/",)) as client:
        headers = {"Origin": "https://app.example", "Sec-Fetch-Site": "cross-site"}
        response = await client.post("/", headers=headers)

    assert response.status_code == 200


def test_the_name_of_a_host_header_has_no_port_and_no_brackets():
    assert host_name("[::1]:8080") == "::1"
    assert host_name("user@localhost") == ""
    assert not is_loopback("")
