"""The dashboard's list of jobs in a real browser, against a small service that speaks the API's JSON."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, expect

from tests.e2e import stage
from tests.e2e.dashboard import open_jobs, row
from tests.e2e.fake_api import FakeApi, job, serving
from tests.fixtures.browser import Faults

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

# the list


async def test_every_state_is_said_in_words(api: FakeApi, page: Page) -> None:
    await open_jobs(page, api)

    await expect(row(page, "drone-over-harbour.mov")).to_contain_text("running")
    await expect(row(page, "drone-over-harbour.mov")).to_contain_text("48 fps · 3.1× · 4.2 s left")
    await expect(row(page, "flaky-camera.ts")).to_contain_text("waiting to retry")
    await expect(row(page, "flaky-camera.ts")).to_contain_text("attempt 3 in")
    await expect(row(page, "beach.mp4")).to_contain_text("succeeded")
    await expect(row(page, "wrong-file.mp4")).to_contain_text("canceled")
    await expect(row(page, "scratched-dvd.vob")).to_contain_text("1 warning")


async def test_a_failed_row_says_why_and_what_to_do(api: FakeApi, page: Page) -> None:
    await open_jobs(page, api)

    failed = row(page, "podcast.m4a")

    await expect(failed).to_contain_text("no_video")
    await expect(failed).to_contain_text(stage.FAILURE["detail"])
    await expect(failed).to_contain_text(stage.FAILURE["hint"])


async def test_a_row_changes_in_place_as_its_job_goes_on(api: FakeApi, page: Page) -> None:
    await open_jobs(page, api)
    bar = page.get_by_role("progressbar", name="Progress of drone-over-harbour.mov")
    before = await bar.element_handle()

    api.put(stage.running(progress={"percent": 88.0, "fps": 51.0, "speed": 3.3, "eta_s": 1.0}))

    await expect(bar).to_have_js_property("value", 88)
    assert await bar.evaluate("(now, before) => now === before", before)


async def test_a_removed_job_leaves_the_list(api: FakeApi, page: Page) -> None:
    await open_jobs(page, api)
    await expect(row(page, "wrong-file.mp4")).to_be_visible()

    del api.jobs["job_canceled"]
    api.tell("removed", {"id": "job_canceled"})

    await expect(row(page, "wrong-file.mp4")).to_have_count(0)


async def test_new_jobs_wait_while_the_pointer_is_on_the_list(api: FakeApi, page: Page) -> None:
    await open_jobs(page, api)
    await row(page, "beach.mp4").hover()

    api.put(job("job_later", name="later.mp4"))

    show = page.get_by_role("button", name="Show 1 new job")
    await expect(show).to_be_visible()
    await expect(row(page, "later.mp4")).to_have_count(0)
    await show.click()
    await expect(row(page, "later.mp4")).to_be_visible()


async def test_the_filter_is_in_the_address_and_survives_a_reload(api: FakeApi, page: Page) -> None:
    await open_jobs(page, api)

    await page.get_by_role("link", name="failed 1").click()

    await expect(page.locator("vc-job-row")).to_have_count(1)
    assert page.url.endswith("/dashboard/jobs?status=failed")
    await page.reload()
    await expect(page.locator("vc-job-row")).to_have_count(1)
    await page.go_back()
    await expect(page.locator("vc-job-row")).to_have_count(7)


async def test_typing_a_name_narrows_the_list(api: FakeApi, page: Page) -> None:
    await open_jobs(page, api)

    await page.get_by_label("Filter by name").fill("beach")

    await expect(page.locator("vc-job-row")).to_have_count(1)
    await expect(page).to_have_url(re.compile(r"q=beach"))


async def test_older_jobs_come_when_asked_for(api: FakeApi, page: Page) -> None:
    for n in range(60):
        api.jobs[f"job_old{n}"] = job(f"job_old{n}", created_at=f"2026-01-01T00:{n:02}:00+00:00")
    await open_jobs(page, api)
    await expect(page.locator("vc-job-row")).to_have_count(50)

    await page.get_by_role("button", name="Older jobs").click()

    await expect(page.locator("vc-job-row")).to_have_count(67)


async def test_retry_takes_one_press_and_delete_two(api: FakeApi, page: Page) -> None:
    await open_jobs(page, api)

    await page.get_by_role("button", name="Retry podcast.m4a").click()
    await expect(row(page, "podcast.m4a")).to_contain_text("queued")
    await page.get_by_role("button", name="Delete wrong-file.mp4").click()
    assert "DELETE /api/v1/jobs/job_canceled" not in api.done
    await page.get_by_role("button", name="Confirm: Delete wrong-file.mp4").click()

    await expect(row(page, "wrong-file.mp4")).to_have_count(0)
    assert api.done == ["POST /api/v1/jobs/job_failed/retry", "DELETE /api/v1/jobs/job_canceled"]


# where jobs begin


async def test_a_first_visit_explains_how_to_begin(fresh: FakeApi, page: Page) -> None:
    await open_jobs(page, fresh)

    await expect(page.get_by_text("Drop a video to begin")).to_be_visible()
    await expect(page.get_by_text(f"curl -F file=@video.mp4 {fresh.url}/api/v1/jobs")).to_be_visible()


async def test_a_chosen_file_is_sent_with_its_spec(fresh: FakeApi, page: Page) -> None:
    await open_jobs(page, fresh)
    await page.get_by_label("Preset").select_option("fast")
    await page.get_by_label("Describe the frames").uncheck()

    clip = {"name": "clip.mp4", "mimeType": "video/mp4", "buffer": b"\0" * 300_000}
    await page.locator("input[type=file]").set_input_files([clip])  # type: ignore[list-item]

    await expect(row(page, "clip.mp4")).to_be_visible()
    (spec,) = fresh.submitted
    assert spec.pop("file_bytes") > 300_000
    assert spec == {"preset": "fast", "priority": "normal", "enable_llm": False, "name": "clip.mp4"}


async def test_a_file_dropped_anywhere_is_taken(api: FakeApi, page: Page) -> None:
    await open_jobs(page, api)

    await page.evaluate(
        """() => {
          const data = new DataTransfer();
          data.items.add(new File(["x"], "dropped.mov", { type: "video/quicktime" }));
          for (const kind of ["dragover", "drop"]) {
            document.body.dispatchEvent(new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
          }
        }"""
    )

    await expect(row(page, "dropped.mov")).to_be_visible()


async def test_a_url_is_submitted_and_a_refusal_is_shown(api: FakeApi, page: Page, faults: Faults) -> None:
    faults.forgive("status of 422")
    await open_jobs(page, api)
    await page.get_by_role("button", name="New job").click()

    await page.get_by_label("Or a URL").fill("ftp://example.com/x.mp4")
    await page.get_by_role("button", name="Submit").click()
    await expect(page.get_by_role("alert")).to_contain_text("Correct the fields named above.")
    await page.get_by_label("Or a URL").fill("https://example.com/surf.mp4")
    await page.get_by_role("button", name="Submit").click()

    await expect(row(page, "surf.mp4")).to_be_visible()


# the connection


async def test_a_lost_server_is_announced_and_its_return_noticed(api: FakeApi, page: Page, faults: Faults) -> None:
    faults.forgive("ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET")
    other = FakeApi(api.web)
    port = 0
    with serving(other):
        port = urlsplit(other.url).port or 0
        other.jobs["job_a"] = job("job_a", name="kept.mp4")
        await open_jobs(page, other)
        await expect(row(page, "kept.mp4")).to_be_visible()

    await expect(page.get_by_text("The server does not answer.")).to_be_visible(timeout=30_000)
    await expect(row(page, "kept.mp4")).to_be_visible()

    with serving(other, port):
        await expect(page.get_by_text("The server does not answer.")).to_have_count(0, timeout=30_000)
        await expect(page.get_by_title("Connection to the server")).to_have_text("live", timeout=30_000)


async def test_tabs_share_one_event_stream(api: FakeApi, page: Page) -> None:
    await open_jobs(page, api)

    second = await page.context.new_page()
    await open_jobs(second, api)
    api.put(stage.running(progress={"percent": 77.0, "fps": None, "speed": None, "eta_s": None}))

    for tab in (page, second):
        await expect(tab.get_by_role("progressbar")).to_have_js_property("value", 77)
    assert len(api.listeners) == 1
    await page.close()
    await expect(second.get_by_title("Connection to the server")).to_have_text("live")
