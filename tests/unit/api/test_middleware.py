"""The layers around every request."""

import httpx
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route

from tests.unit.api.fakes import CountingMetrics, SilentLog
from vidcompute.api import problems
from vidcompute.api.middleware import DATA_CSP, PAGE_CSP, BodyLimit, Observe, RequestId, SecurityHeaders


async def read(request):
    return PlainTextResponse(str(len(await request.body())))


async def fail(_request):
    raise RuntimeError("a bug, with a secret")


async def break_off(_request):
    async def pieces():
        yield b"half"
        raise RuntimeError("a bug in the middle")

    return StreamingResponse(pieces())


async def page(_request):
    return HTMLResponse("<p>hello")


@pytest.fixture
def metrics():
    return CountingMetrics()


@pytest.fixture
def log():
    return SilentLog()


@pytest.fixture
async def client(metrics, log):
    routes = [
        Route("/read", read, methods=["POST"]),
        Route("/upload", read, methods=["POST"]),
        Route("/fail", fail),
        Route("/break", break_off),
        Route("/page", page),
    ]
    layers = [
        Middleware(RequestId),
        Middleware(SecurityHeaders, shared=False),
        Middleware(Observe, metrics=metrics, log=log),
        Middleware(BodyLimit, max_bytes=100, uploads=frozenset({"/upload"})),
    ]
    app = Starlette(routes=routes, middleware=layers, exception_handlers={HTTPException: problems.on_error})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        yield client


async def test_a_sane_request_id_is_echoed(client):
    response = await client.post("/read", headers={"X-Request-Id": "abc-1.2_Z"})

    assert response.headers["x-request-id"] == "abc-1.2_Z"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, 'q"uote', "new\tline"])
async def test_any_other_request_id_is_replaced(client, given):
    response = await client.post("/read", headers={"X-Request-Id": given})

    assert response.headers["x-request-id"] != given
    assert len(response.headers["x-request-id"]) == 32


async def test_a_bug_is_a_problem_with_the_request_id_and_a_traceback_in_the_log(client, log):
    response = await client.get("/fail", headers={"X-Request-Id": "r1"})

    assert response.status_code == 500
    assert response.json()["request_id"] == "r1"
    assert "secret" not in response.text
    assert log.entries[0][0] == "http.bug"
    assert log.entries[0][1]["request_id"] == "r1"


async def test_half_a_response_breaks_the_connection_instead_of_ending_well(client, log):
    with pytest.raises(RuntimeError, match="in the middle"):
        await client.get("/break")

    assert log.entries[0][0] == "http.bug"


async def test_requests_are_counted_by_method_and_status(client, metrics):
    await client.post("/read", content=b"x")
    await client.get("/fail")
    await client.request("BREW", "/fail")

    assert [(method, status) for method, _, status in metrics.seen] == [("POST", 200), ("GET", 500), ("OTHER", 405)]


@pytest.mark.parametrize(("path", "policy"), [("/page", PAGE_CSP), ("/nothing", DATA_CSP)])
async def test_pages_and_data_carry_their_own_policies(client, path, policy):
    response = await client.get(path)

    assert response.headers["content-security-policy"] == policy
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["x-frame-options"] == "DENY"


async def test_a_body_over_the_limit_is_refused_by_its_declared_length(client):
    response = await client.post("/read", content=b"x" * 101)

    assert response.status_code == 413
    assert response.json()["code"] == "limit_exceeded"


async def test_a_body_over_the_limit_is_refused_while_it_comes(client):
    async def pieces():
        for _ in range(11):
            yield b"x" * 10

    response = await client.post("/read", content=pieces())

    assert response.status_code == 413


async def test_only_multipart_at_an_upload_path_may_be_larger(client):
    headers = {"Content-Type": "multipart/form-data; boundary=x"}

    assert (await client.post("/upload", content=b"x" * 200, headers=headers)).text == "200"
    assert (await client.post("/read", content=b"x" * 200, headers=headers)).status_code == 413
    assert (await client.post("/upload", content=b"x" * 200)).status_code == 413
