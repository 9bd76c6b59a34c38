"""The dashboard in a real browser, against a small service that speaks the API's JSON."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Locator, Page, expect
from playwright.async_api import TimeoutError as PageTimeoutError

from tests.e2e import stage
from tests.e2e.fake_api import FakeApi, Json, job, serving
from tests.fixtures.browser import Faults

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "src" / "vidcompute" / "web"


@pytest.fixture(scope="session")
def built() -> Path:
    """The built page; nothing is done when it is fresh."""
    subprocess.run([sys.executable, str(ROOT / "scripts" / "build_web.py")], check=True, timeout=300)
    return WEB


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an HLS stream in `hls` and a picture."""
    folder = tmp_path_factory.mktemp("stage")
    stage.make_stream(folder / "hls")
    stage.make_picture(folder / "picture.jpg")
    return folder


@pytest.fixture
def api(built: Path, media: Path) -> Iterator[FakeApi]:
    """A service with a job in every state."""
    streams = {"job_done": media / "hls", "job_warned": media / "hls"}
    fake = FakeApi(built, picture=(media / "picture.jpg").read_bytes(), streams=streams)
    stage.populate(fake)
    with serving(fake):
        yield fake


@pytest.fixture
def fresh(built: Path) -> Iterator[FakeApi]:
    """A service on its first day."""
    with serving(FakeApi(built)) as fake:
        yield fake


def row(page: Page, name: str) -> Locator:
    return page.locator("vc-job-row").filter(has=page.get_by_role("link", name=name, exact=True))


async def open_jobs(page: Page, api: FakeApi, path: str = "/dashboard/") -> None:
    await page.goto(api.url + path)
    await expect(page.get_by_title("Connection to the server")).to_have_text("live")


# the list


async def test_every_state_is_said_in_words(page: Page, api: FakeApi) -> None:
    await open_jobs(page, api)

    await expect(row(page, "drone-over-harbour.mov")).to_contain_text("running")
    await expect(row(page, "drone-over-harbour.mov")).to_contain_text("48 fps · 3.1× · 4.2 s left")
    await expect(row(page, "flaky-camera.ts")).to_contain_text("waiting to retry")
    await expect(row(page, "flaky-camera.ts")).to_contain_text("attempt 3 in")
    await expect(row(page, "beach.mp4")).to_contain_text("succeeded")
    await expect(row(page, "wrong-file.mp4")).to_contain_text("canceled")
    await expect(row(page, "scratched-dvd.vob")).to_contain_text("1 warning")


async def test_a_failed_row_says_why_and_what_to_do(page: Page, api: FakeApi) -> None:
    await open_jobs(page, api)

    failed = row(page, "podcast.m4a")

    await expect(failed).to_contain_text("no_video")
    await expect(failed).to_contain_text(stage.FAILURE["detail"])
    await expect(failed).to_contain_text(stage.FAILURE["hint"])


async def test_a_row_changes_in_place_as_its_job_goes_on(page: Page, api: FakeApi) -> None:
    await open_jobs(page, api)
    bar = page.get_by_role("progressbar", name="Progress of drone-over-harbour.mov")
    before = await bar.element_handle()

    api.put(stage.running(progress={"percent": 88.0, "fps": 51.0, "speed": 3.3, "eta_s": 1.0}))

    await expect(bar).to_have_js_property("value", 88)
    assert await bar.evaluate("(now, before) => now === before", before)


async def test_a_removed_job_leaves_the_list(page: Page, api: FakeApi) -> None:
    await open_jobs(page, api)
    await expect(row(page, "wrong-file.mp4")).to_be_visible()

    del api.jobs["job_canceled"]
    api.tell("removed", {"id": "job_canceled"})

    await expect(row(page, "wrong-file.mp4")).to_have_count(0)


async def test_new_jobs_wait_while_the_pointer_is_on_the_list(page: Page, api: FakeApi) -> None:
    await open_jobs(page, api)
    await row(page, "beach.mp4").hover()

    api.put(job("job_later", name="later.mp4"))

    show = page.get_by_role("button", name="Show 1 new job")
    await expect(show).to_be_visible()
    await expect(row(page, "later.mp4")).to_have_count(0)
    await show.click()
    await expect(row(page, "later.mp4")).to_be_visible()


async def test_the_filter_is_in_the_address_and_survives_a_reload(page: Page, api: FakeApi) -> None:
    await open_jobs(page, api)

    await page.get_by_role("link", name="failed 1").click()

    await expect(page.locator("vc-job-row")).to_have_count(1)
    assert page.url.endswith("/dashboard/jobs?status=failed")
    await page.reload()
    await expect(page.locator("vc-job-row")).to_have_count(1)
    await page.go_back()
    await expect(page.locator("vc-job-row")).to_have_count(7)


async def test_typing_a_name_narrows_the_list(page: Page, api: FakeApi) -> None:
    await open_jobs(page, api)

    await page.get_by_label("Filter by name").fill("beach")

    await expect(page.locator("vc-job-row")).to_have_count(1)
    await expect(page).to_have_url(re.compile(r"q=beach"))


async def test_older_jobs_come_when_asked_for(page: Page, api: FakeApi) -> None:
    for n in range(60):
        api.jobs[f"job_old{n}"] = job(f"job_old{n}", created_at=f"2026-01-01T00:{n:02}:00+00:00")
    await open_jobs(page, api)
    await expect(page.locator("vc-job-row")).to_have_count(50)

    await page.get_by_role("button", name="Older jobs").click()

    await expect(page.locator("vc-job-row")).to_have_count(67)


async def test_retry_takes_one_press_and_delete_two(page: Page, api: FakeApi) -> None:
    await open_jobs(page, api)

    await page.get_by_role("button", name="Retry podcast.m4a").click()
    await expect(row(page, "podcast.m4a")).to_contain_text("queued")
    await page.get_by_role("button", name="Delete wrong-file.mp4").click()
    assert "DELETE /api/v1/jobs/job_canceled" not in api.done
    await page.get_by_role("button", name="Confirm: Delete wrong-file.mp4").click()

    await expect(row(page, "wrong-file.mp4")).to_have_count(0)
    assert api.done == ["POST /api/v1/jobs/job_failed/retry", "DELETE /api/v1/jobs/job_canceled"]


# where jobs begin


async def test_a_first_visit_explains_how_to_begin(page: Page, fresh: FakeApi) -> None:
    await open_jobs(page, fresh)

    await expect(page.get_by_text("Drop a video to begin")).to_be_visible()
    await expect(page.get_by_text(f"curl -F file=@video.mp4 {fresh.url}/api/v1/jobs")).to_be_visible()


async def test_a_chosen_file_is_sent_with_its_spec(page: Page, fresh: FakeApi) -> None:
    await open_jobs(page, fresh)
    await page.get_by_label("Preset").select_option("fast")
    await page.get_by_label("Describe the frames").uncheck()

    clip = {"name": "clip.mp4", "mimeType": "video/mp4", "buffer": b"\0" * 300_000}
    await page.locator("input[type=file]").set_input_files([clip])  # type: ignore[list-item]

    await expect(row(page, "clip.mp4")).to_be_visible()
    (spec,) = fresh.submitted
    assert spec.pop("file_bytes") > 300_000
    assert spec == {"preset": "fast", "priority": "normal", "enable_llm": False, "name": "clip.mp4"}


async def test_a_file_dropped_anywhere_is_taken(page: Page, api: FakeApi) -> None:
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


async def test_a_url_is_submitted_and_a_refusal_is_shown(page: Page, api: FakeApi, faults: Faults) -> None:
    faults.forgive("status of 422")
    await open_jobs(page, api)
    await page.get_by_role("button", name="New job").click()

    await page.get_by_label("Or a URL").fill("ftp://example.com/x.mp4")
    await page.get_by_role("button", name="Submit").click()
    await expect(page.get_by_role("alert")).to_contain_text("Correct the fields named above.")
    await page.get_by_label("Or a URL").fill("https://example.com/surf.mp4")
    await page.get_by_role("button", name="Submit").click()

    await expect(row(page, "surf.mp4")).to_be_visible()


# one job

_SHOWN = """() => {
  const video = document.querySelector("video");
  const words = document.querySelector(".vc-now")?.textContent ?? "";
  const said = Number(/frame (\\d+)/.exec(words)?.[1] ?? -1);
  if (!video || video.readyState < 2 || video.seeking) return [said, -1];
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(video, 0, 0);
  const grey = x => context.getImageData(Math.round(canvas.width * x), canvas.height >> 1, 1, 1).data[1];
  const digit = x => Math.round((grey(x) * 219 / 255 + 16 - 20) / 14);
  return [said, digit(0.25) * 16 + digit(0.75)];
}"""


async def shows(page: Page, frame_no: int) -> None:
    """Wait until the words and the picture itself say `frame_no`."""
    with contextlib.suppress(PageTimeoutError):
        await page.wait_for_function(f"() => String(({_SHOWN})()) === '{frame_no},{frame_no}'", timeout=20_000)
    assert await page.evaluate(_SHOWN) == [frame_no, frame_no]


async def test_the_stream_plays_with_sound_in_both_qualities(page: Page, api: FakeApi) -> None:
    await page.goto(f"{api.url}/dashboard/jobs/job_done")
    video = page.locator("video")
    await expect(page.get_by_label("Quality").locator("option")).to_have_text([re.compile("auto"), "180p", "90p"])

    await page.get_by_label("Quality").select_option("90p")
    await video.evaluate("video => { video.muted = true; video.playbackRate = 4; return video.play(); }")

    await expect(video).to_have_js_property("ended", True, timeout=30_000)
    await expect(video).to_have_js_property("videoHeight", 90)
    assert await video.evaluate("video => video.webkitAudioDecodedByteCount") > 0


async def test_a_click_on_a_description_shows_exactly_its_first_frame(page: Page, api: FakeApi) -> None:
    await page.goto(f"{api.url}/dashboard/jobs/job_done")
    entries = page.locator("vc-context li")
    await expect(entries).to_have_count(16)

    for index, frame_no in [(2, 20), (1, 10), (15, 140), (8, 75), (9, 80), (0, 0)]:
        await entries.nth(index).get_by_role("button").click()

        await shows(page, frame_no)
        await expect(entries.nth(index)).to_have_attribute("aria-current", "true")


async def test_a_link_to_a_moment_opens_at_its_frame(page: Page, api: FakeApi) -> None:
    # The last one lies behind the end of the sound.
    for t, frame_no in [("2.500", 75), ("0.033", 1), ("0:01.267", 38), ("4.967", 149)]:
        await page.goto(f"{api.url}/dashboard/jobs/job_done?t={t}")

        await shows(page, frame_no)


async def test_the_time_line_moves_by_frames_and_says_where_it_is(page: Page, api: FakeApi) -> None:
    await page.goto(f"{api.url}/dashboard/jobs/job_done?t=1")
    slider = page.get_by_role("slider", name="Position in the video")
    await shows(page, 30)

    await slider.focus()
    await page.keyboard.press("ArrowRight")

    await shows(page, 31)
    assert "appears at the bottom" in (await slider.get_attribute("aria-valuetext") or "")


async def test_playback_carries_the_highlight_along(page: Page, api: FakeApi) -> None:
    await page.goto(f"{api.url}/dashboard/jobs/job_done")
    await expect(page.locator("vc-context li")).to_have_count(16)

    await page.locator("video").evaluate("video => { video.muted = true; return video.play(); }")

    await expect(page.locator("vc-context li").nth(15)).to_have_attribute("aria-current", "true", timeout=30_000)


async def test_what_was_read_in_a_picture_never_becomes_markup(page: Page, api: FakeApi) -> None:
    await page.goto(f"{api.url}/dashboard/jobs/job_done")

    await expect(page.locator("vc-context q")).to_have_text("BREAKING <b>NEWS</b>")
    await expect(page.locator("vc-context q b")).to_have_count(0)


async def test_a_long_video_loads_only_what_is_near_the_playhead(page: Page, api: FakeApi) -> None:
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


async def test_the_log_replays_in_order_and_ends(page: Page, api: FakeApi) -> None:
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


async def test_a_running_job_shows_its_step_and_its_log(page: Page, api: FakeApi) -> None:
    await page.goto(f"{api.url}/dashboard/jobs/job_running")

    await expect(page.locator(".vc-steps .is-now")).to_have_text("Encode")
    await expect(page.get_by_text("frame 93 of 150")).to_be_visible()
    await expect(page.get_by_role("log")).to_contain_text("plan: 3 renditions")
    api.put(stage.running(status="canceled"))
    await expect(page.locator(".vc-title")).to_contain_text("canceled")


async def test_a_failed_job_shows_cause_advice_and_last_lines(page: Page, api: FakeApi) -> None:
    await page.goto(f"{api.url}/dashboard/jobs/job_failed")

    why = page.get_by_role("region", name="Why it failed")
    await expect(why).to_contain_text("The input has no video")
    await expect(why).to_contain_text(stage.FAILURE["hint"])
    await expect(page.get_by_label("Last lines of its output")).to_contain_text("Conversion failed!")


async def test_an_unknown_job_is_said_to_be_missing(page: Page, api: FakeApi, faults: Faults) -> None:
    faults.forgive("status of 404")

    await page.goto(f"{api.url}/dashboard/jobs/job_nowhere")

    await expect(page.get_by_role("heading", name="There is no such job")).to_be_visible()


# search


async def test_a_search_leads_to_the_moment(page: Page, api: FakeApi) -> None:
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


async def test_a_search_without_a_hit_says_so(page: Page, api: FakeApi) -> None:
    await page.goto(f"{api.url}/dashboard/search?q=zebra")

    await expect(page.get_by_text("Nothing was found for “zebra”")).to_be_visible()


# the connection


async def test_a_lost_server_is_announced_and_its_return_noticed(page: Page, api: FakeApi, faults: Faults) -> None:
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


async def test_tabs_share_one_event_stream(page: Page, api: FakeApi) -> None:
    await open_jobs(page, api)

    second = await page.context.new_page()
    await open_jobs(second, api)
    api.put(stage.running(progress={"percent": 77.0, "fps": None, "speed": None, "eta_s": None}))

    for tab in (page, second):
        await expect(tab.get_by_role("progressbar")).to_have_js_property("value", 77)
    assert len(api.listeners) == 1
    await page.close()
    await expect(second.get_by_title("Connection to the server")).to_have_text("live")


# for everyone


async def test_the_chosen_theme_is_there_before_the_first_paint(page: Page, api: FakeApi) -> None:
    await open_jobs(page, api)
    theme = page.get_by_role("button", name="Theme:")
    await theme.click()
    await theme.click()

    await page.reload(wait_until="commit")

    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    # A classic script in <head> blocks the body; a module would run after it was painted.
    assert await page.locator("head script:not([type=module])").count() == 1


PATHS = [
    "jobs",
    "jobs/job_done",
    "jobs/job_running",
    "jobs/job_failed",
    "search?q=warm",
    "jobs/job_done?tab=log",
    "nowhere",
]


async def settled(page: Page, url: str) -> None:
    await page.goto(url)
    await expect(page.locator("h1").first).to_be_attached()
    await expect(page.get_by_text("Loading…")).to_have_count(0)
    await expect(page.get_by_text("Searching…")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing(page: Page, api: FakeApi, fresh: FakeApi, scheme: Any) -> None:
    await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    axe = (ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js").read_text()

    found: list[Json] = []
    for url in [f"{fresh.url}/dashboard/", *(f"{api.url}/dashboard/{path}" for path in PATHS)]:
        await settled(page, url)
        await page.evaluate(axe)
        result = await page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
        found += [{"url": url, "id": v["id"], "nodes": [n["html"] for n in v["nodes"]]} for v in result["violations"]]

    assert not found


async def test_everything_fits_on_a_narrow_screen(page: Page, api: FakeApi, fresh: FakeApi) -> None:
    await page.set_viewport_size({"width": 320, "height": 640})

    wide: list[str] = []
    for url in [f"{fresh.url}/dashboard/", *(f"{api.url}/dashboard/{path}" for path in PATHS)]:
        await settled(page, url)
        if await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            wide.append(url)

    assert not wide


async def test_the_keyboard_reaches_a_job_from_the_top(page: Page, api: FakeApi) -> None:
    await open_jobs(page, api)

    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")
    link = page.get_by_role("link", name="drone-over-harbour.mov", exact=True)
    for _ in range(15):
        await page.keyboard.press("Tab")
        if await link.evaluate("link => link === document.activeElement"):
            break
    await page.keyboard.press("Enter")

    await expect(page.get_by_role("heading", name="drone-over-harbour.mov")).to_be_visible()


async def test_the_api_documentation_opens_without_the_network(page: Page, api: FakeApi) -> None:
    await page.goto(f"{api.url}/docs/")

    await expect(page.locator("#swagger .info .title")).to_contain_text("fake")


async def test_closed_storage_does_not_stop_the_page(chromium: Browser, api: FakeApi) -> None:
    context = await chromium.new_context()
    page = await context.new_page()
    # Storage that throws, as some privacy settings make it.
    await page.add_init_script(
        "Object.defineProperty(window, 'localStorage', { get() { throw new Error('closed'); } });"
    )

    await page.goto(f"{api.url}/dashboard/")

    await expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
    await context.close()
