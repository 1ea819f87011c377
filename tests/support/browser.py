"""Run a real browser without a window, driven by selenium."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DRIVER = "chromedriver"


def missing_browser() -> list[str]:
    """List which of the two programs this machine lacks."""
    return [*([] if _browser() else [BROWSERS[0]]), *([] if shutil.which(DRIVER) else [DRIVER])]


def _browser() -> str | None:
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


@contextmanager
def running_browser(width: int = 1280, height: int = 900) -> Iterator[Chrome]:
    """Open Chromium with a window of so many pixels; close it on leaving."""
    options = ChromeOptions()
    options.binary_location = _browser() or ""
    # Chromium refuses to sandbox root, and needs more than a container's /dev/shm
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", f"--window-size={width},{height}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = Chrome(options, Service(shutil.which(DRIVER)))
    try:
        yield browser
    finally:
        browser.quit()
