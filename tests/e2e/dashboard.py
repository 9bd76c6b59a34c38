"""What the dashboard's tests do again and again."""

from __future__ import annotations

import contextlib

from playwright.async_api import Locator, Page, expect
from playwright.async_api import TimeoutError as PageTimeoutError

from tests.e2e.fake_api import FakeApi


def row(page: Page, name: str) -> Locator:
    return page.locator("vc-job-row").filter(has=page.get_by_role("link", name=name, exact=True))


async def open_jobs(page: Page, api: FakeApi, path: str = "/dashboard/") -> None:
    await page.goto(api.url + path)
    await expect(page.get_by_title("Connection to the server")).to_have_text("live")


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
