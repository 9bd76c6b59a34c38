"""The dashboard for everyone: by keyboard, on narrow screens, in both themes, without storage or network."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.conftest import ROOT
from tests.e2e.dashboard import open_jobs
from tests.e2e.fake_api import FakeApi, Json

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


async def test_the_chosen_theme_is_there_before_the_first_paint(api: FakeApi, page: Page) -> None:
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
async def test_axe_finds_nothing(api: FakeApi, fresh: FakeApi, page: Page, scheme: Any) -> None:
    await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    axe = (ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js").read_text()

    found: list[Json] = []
    for url in [f"{fresh.url}/dashboard/", *(f"{api.url}/dashboard/{path}" for path in PATHS)]:
        await settled(page, url)
        await page.evaluate(axe)
        result = await page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
        found += [{"url": url, "id": v["id"], "nodes": [n["html"] for n in v["nodes"]]} for v in result["violations"]]

    assert not found


async def test_everything_fits_on_a_narrow_screen(api: FakeApi, fresh: FakeApi, page: Page) -> None:
    await page.set_viewport_size({"width": 320, "height": 640})

    wide: list[str] = []
    for url in [f"{fresh.url}/dashboard/", *(f"{api.url}/dashboard/{path}" for path in PATHS)]:
        await settled(page, url)
        if await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            wide.append(url)

    assert not wide


async def test_the_keyboard_reaches_a_job_from_the_top(api: FakeApi, page: Page) -> None:
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


async def test_the_api_documentation_opens_without_the_network(api: FakeApi, page: Page) -> None:
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
