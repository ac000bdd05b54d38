"""A real browser for tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from harness.backends import skip_or_fail

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium(*arguments: str) -> Iterator[Browser]:
    """Start Chromium with these further arguments; skip the test without an installed Chromium."""
    if not CHROMIUM.exists():
        skip_or_fail("chromium", f"there is no {CHROMIUM} (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, *arguments])
        yield browser
        browser.close()


@contextmanager
def checked_page(browser: Browser, service: str) -> Iterator[Page]:
    """Open a page of the service, and fail at its end on an error or a request to another host."""
    errors: list[str] = []
    page = browser.new_page(base_url=service, viewport={"width": 1280, "height": 800})
    page.on("request", lambda request: None if is_own_url(request.url, service) else errors.append(request.url))
    page.on("console", lambda message: errors.append(message.text) if is_error(message) else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    page.close()
    assert errors == []


def is_own_url(url: str, service: str) -> bool:
    return url.startswith((f"{service}/", "data:"))


def is_error(message: ConsoleMessage) -> bool:
    """Return whether a console message is an error; failed requests are not, as some tests cause them."""
    return message.type in {"error", "warning"} and not message.text.startswith("Failed to load resource")
