"""One job and the search for a moment: picture, words and time line must agree to the frame."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from tests.e2e import stage
from tests.e2e.dashboard import open_jobs, shows
from tests.e2e.fake_api import FakeApi
from tests.fixtures.browser import Faults

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


async def test_the_stream_plays_with_sound_in_both_qualities(api: FakeApi, page: Page) -> None:
    await page.goto(f"{api.url}/dashboard/jobs/job_done")
    video = page.locator("video")
    await expect(page.get_by_label("Quality").locator("option")).to_have_text([re.compile("auto"), "180p", "90p"])

    await page.get_by_label("Quality").select_option("90p")
    await video.evaluate("video => { video.muted = true; video.playbackRate = 4; return video.play(); }")

    await expect(video).to_have_js_property("ended", True, timeout=30_000)
    await expect(video).to_have_js_property("videoHeight", 90)
    assert await video.evaluate("video => video.webkitAudioDecodedByteCount") > 0


async def test_a_click_on_a_description_shows_exactly_its_first_frame(api: FakeApi, page: Page) -> None:
    await page.goto(f"{api.url}/dashboard/jobs/job_done")
    entries = page.locator("vc-context li")
    await expect(entries).to_have_count(16)

    for index, frame_no in [(2, 20), (1, 10), (15, 140), (8, 75), (9, 80), (0, 0)]:
        await entries.nth(index).get_by_role("button").click()

        await shows(page, frame_no)
        await expect(entries.nth(index)).to_have_attribute("aria-current", "true")


async def test_a_link_to_a_moment_opens_at_its_frame(api: FakeApi, page: Page) -> None:
    # The last one lies behind the end of the sound.
    for t, frame_no in [("2.500", 75), ("0.033", 1), ("0:01.267", 38), ("4.967", 149)]:
        await page.goto(f"{api.url}/dashboard/jobs/job_done?t={t}")

        await shows(page, frame_no)


async def test_the_time_line_moves_by_frames_and_says_where_it_is(api: FakeApi, page: Page) -> None:
    await page.goto(f"{api.url}/dashboard/jobs/job_done?t=1")
    slider = page.get_by_role("slider", name="Position in the video")
    await shows(page, 30)

    await slider.focus()
    await page.keyboard.press("ArrowRight")

    await shows(page, 31)
    assert "appears at the bottom" in (await slider.get_attribute("aria-valuetext") or "")


async def test_playback_carries_the_highlight_along(api: FakeApi, page: Page) -> None:
    await page.goto(f"{api.url}/dashboard/jobs/job_done")
    await expect(page.locator("vc-context li")).to_have_count(16)

    await page.locator("video").evaluate("video => { video.muted = true; return video.play(); }")

    await expect(page.locator("vc-context li").nth(15)).to_have_attribute("aria-current", "true", timeout=30_000)


async def test_what_was_read_in_a_picture_never_becomes_markup(api: FakeApi, page: Page) -> None:
    await page.goto(f"{api.url}/dashboard/jobs/job_done")

    await expect(page.locator("vc-context q")).to_have_text("BREAKING <b>NEWS</b>")
    await expect(page.locator("vc-context q b")).to_have_count(0)


async def test_a_long_video_loads_only_what_is_near_the_playhead(api: FakeApi, page: Page) -> None:
    rows = stage.frame_rows()
    hour = [rows[n % 150] | {"frame_no": n, "ts_ms": round(n * 1000 / 30)} for n in range(0, 108_000, 10)]
    api.frames["job_done"] = hour
    source = stage.SOURCE | {"duration_ms": 3_600_000}
    api.jobs["job_done"] = stage.finished(source=source)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/frames?" in request.url else None)

    await page.goto(f"{api.url}/dashboard/jobs/job_done")

    await expect(page.locator("vc-context li").first).to_be_visible()
    await expect(page.locator("vc-context li.is-now")).to_have_count(1)
    assert len(asked) <= 3
    await page.locator("vc-context ol").evaluate("list => { list.scrollTop = list.scrollHeight; }")
    await expect(page.locator("vc-context li").nth(80)).to_be_attached()
    await page.wait_for_load_state("networkidle")


async def test_the_log_replays_in_order_and_ends(api: FakeApi, page: Page) -> None:
    api.logs["job_done"].insert(
        1, ("log", {"at": "2026-01-01T00:00:00Z", "level": "info", "message": "<b>not markup</b>"})
    )

    await page.goto(f"{api.url}/dashboard/jobs/job_done?tab=log")

    log = page.get_by_role("log")
    await expect(log.locator("p span")).to_have_text(
        [
            "probed: mov, h264 1280x720, 150 frames", "<b>not markup</b>", "plan: 3 renditions, 1 chunk",
            "edit list skips 2 frames", "chunk 0 failed; it is tried again", "job is succeeded",
        ]
    )  # fmt: skip
    await expect(page.locator(".vc-log-tools")).to_contain_text("complete")
    await page.get_by_label("Level").select_option("warning")
    await expect(log.locator("p")).to_have_count(2)


async def test_a_running_job_shows_its_step_and_its_log(api: FakeApi, page: Page) -> None:
    await page.goto(f"{api.url}/dashboard/jobs/job_running")

    await expect(page.locator(".vc-steps .is-now")).to_have_text("Encode")
    await expect(page.get_by_text("frame 93 of 150")).to_be_visible()
    await expect(page.get_by_role("log")).to_contain_text("plan: 3 renditions")
    api.put(stage.running(status="canceled"))
    await expect(page.locator(".vc-title")).to_contain_text("canceled")


async def test_a_failed_job_shows_cause_advice_and_last_lines(api: FakeApi, page: Page) -> None:
    await page.goto(f"{api.url}/dashboard/jobs/job_failed")

    why = page.get_by_role("region", name="Why it failed")
    await expect(why).to_contain_text("The input has no video")
    await expect(why).to_contain_text(stage.FAILURE["hint"])
    await expect(page.get_by_label("Last lines of its output")).to_contain_text("Conversion failed!")


async def test_an_unknown_job_is_said_to_be_missing(api: FakeApi, page: Page, faults: Faults) -> None:
    faults.forgive("status of 404")

    await page.goto(f"{api.url}/dashboard/jobs/job_nowhere")

    await expect(page.get_by_role("heading", name="There is no such job")).to_be_visible()


# search


async def test_a_search_leads_to_the_moment(api: FakeApi, page: Page) -> None:
    await open_jobs(page, api)
    await page.keyboard.press("/")
    await page.get_by_role("searchbox", name="What to look for").fill("warm")
    await page.keyboard.press("Enter")
    moments = page.get_by_role("list", name="Moments").get_by_role("listitem")
    await expect(moments).to_have_count(2)
    await expect(moments.first.locator("mark")).to_have_text("warm")
    await expect(moments.nth(1)).to_contain_text("<img src=x onerror=alert(1)>")

    await moments.first.get_by_role("link").click()

    await expect(page).to_have_url(re.compile(r"/dashboard/jobs/job_done\?t=2\.500$"))
    await shows(page, 75)


async def test_a_search_without_a_hit_says_so(api: FakeApi, page: Page) -> None:
    await page.goto(f"{api.url}/dashboard/search?q=zebra")

    await expect(page.get_by_text("Nothing was found for “zebra”")).to_be_visible()
