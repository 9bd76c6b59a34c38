"""What lies beside the API."""

from dataclasses import replace

import pytest

from vidcompute.api.middleware import PAGE_CSP


@pytest.fixture
def settings(settings, tmp_path):
    web = tmp_path / "web"
    (web / "assets").mkdir(parents=True)
    (web / "swagger").mkdir()
    (web / "index.html").write_text("<!doctype html>dashboard")
    (web / "assets" / "main-ABC.js").write_text("1")
    (web / "swagger" / "index.html").write_text("<!doctype html>swagger")
    (web / "swagger" / "ui.css").write_text("a{}")
    (tmp_path / "secret.txt").write_text("hidden words")
    (web / "assets" / "link.txt").symlink_to(tmp_path / "secret.txt")
    return replace(settings, web_dir=web, build=(("ffmpeg", "9.0.2"),))


async def test_health_version_and_metrics(bench):
    assert (await bench.client.get("/healthz")).json() == {"status": "ok"}
    assert (await bench.client.get("/version")).json() == {"version": "1.2.3", "build": {"ffmpeg": "9.0.2"}}
    assert (await bench.client.get("/metrics")).text == "jobs_total 0\n"


async def test_ready_asks_what_the_service_depends_on(bench):
    good = await bench.client.get("/readyz")
    bench.checks["database"] = "no answer"
    bad = await bench.client.get("/readyz")
    bench.stopping.set()
    stopping = await bench.client.get("/readyz")

    assert (good.status_code, good.json()["ready"]) == (200, True)
    assert (bad.status_code, bad.json()["checks"]) == (503, {"database": "no answer"})
    assert stopping.status_code == 503


async def test_the_address_alone_leads_to_the_dashboard(bench):
    assert (await bench.client.get("/")).headers["location"] == "/dashboard/"
    assert (await bench.client.get("/dashboard")).headers["location"] == "/dashboard/"
    assert (await bench.client.get("/docs")).headers["location"] == "/docs/"


@pytest.mark.parametrize("path", ["/dashboard/", "/dashboard/jobs", "/dashboard/jobs/job_1"])
async def test_the_pages_own_routes_are_the_page(bench, path):
    response = await bench.client.get(path)

    assert response.text == "<!doctype html>dashboard"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["content-security-policy"] == PAGE_CSP


async def test_hashed_files_are_kept_for_ever_and_missing_ones_are_404(bench):
    script = await bench.client.get("/dashboard/assets/main-ABC.js")
    missing = await bench.client.get("/dashboard/assets/main-OLD.js")

    assert "immutable" in script.headers["cache-control"]
    assert script.headers["content-type"].startswith("text/javascript")
    assert missing.status_code == 404


@pytest.mark.parametrize("path", ["/dashboard/..%2fsecret.txt", "/dashboard/assets/link.txt", "/docs/..%2findex.html"])
async def test_nothing_outside_the_built_folder_is_served(bench, path):
    response = await bench.client.get(path)

    assert "hidden words" not in response.text
    assert response.status_code == 404


async def test_swagger_is_served_from_here(bench):
    assert (await bench.client.get("/docs/")).text == "<!doctype html>swagger"
    assert (await bench.client.get("/docs/ui.css")).headers["content-type"].startswith("text/css")


@pytest.mark.parametrize("path", ["/", "/dashboard/", "/docs/", "/healthz", "/readyz", "/metrics", "/version"])
async def test_what_can_be_read_can_be_asked_about_without_its_body(bench, path):
    read = await bench.client.get(path)
    asked = await bench.client.head(path)

    assert (asked.status_code, asked.content) == (read.status_code, b"")
    assert asked.headers.get("content-type") == read.headers.get("content-type")


async def test_a_stream_that_never_ends_has_no_head(bench):
    response = await bench.client.head("/api/v1/events")

    assert (response.status_code, response.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize(
    "code",
    [
        *["no_video", "encoder_failed", "not_ready", "internal_error"],
        *["no_such_route", "method_not_allowed", "malformed_body", "invalid_request", "unsupported_content_type"],
    ],
)
async def test_a_problem_has_a_page(bench, code):
    response = await bench.client.get(f"/problems/{code}")

    assert code in response.text
    assert response.headers["content-type"].startswith("text/html")


async def test_an_unknown_problem_has_none(bench):
    assert (await bench.client.get("/problems/nonsense")).status_code == 404


async def test_foreign_hosts_and_pages_are_refused_before_anything_happens(bench):
    host = await bench.client.get("/api/v1/jobs", headers={"Host": "evil.example"})
    page = await bench.client.post(
        "/api/v1/jobs", json={"input": "https://a/b"}, headers={"Origin": "https://evil.example"}
    )

    assert (host.status_code, page.status_code) == (403, 403)
    assert "x-request-id" in host.headers
    assert (await bench.client.get("/api/v1/jobs/counts")).json()["total"] == 0


async def test_no_origin_may_read_unless_it_was_allowed(bench):
    response = await bench.client.get("/healthz", headers={"Origin": "https://evil.example"})

    assert "access-control-allow-origin" not in response.headers


class TestAnotherOrigin:
    @pytest.fixture
    def settings(self, settings):
        return replace(settings, cors_origins=("https://player.example",))

    async def test_may_ask_for_parts_and_read_what_they_are_if_it_was_allowed(self, bench):
        origin = {"Origin": "https://player.example"}
        asking = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "range, if-none-match"}

        preflight = await bench.client.options("/api/v1/jobs", headers={**origin, **asking})
        answer = await bench.client.get("/healthz", headers=origin)

        assert preflight.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "https://player.example"
        assert {"ETag", "Content-Range"} <= set(answer.headers["access-control-expose-headers"].split(", "))
