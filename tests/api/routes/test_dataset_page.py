"""The page of a dataset in a real browser, with a running service and a worker."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.api.chromium import checked_page
from tests.api.routes.test_pages import browser, press, service

__all__ = ["browser", "service"]

CITIES = ("Rome", "Oslo", "<i>Bonn</i>")
TABLE = "key,age,city,<b>note</b>,paid\n" + "".join(
    f"k{row},{20 + row * 7 % 50},{CITIES[row % 3]},{'' if row % 5 else 'some words'},{'no' if row % 50 else 'yes'}\n"
    for row in range(200)
)


@pytest.fixture(scope="module")
def dataset(service: str) -> str:
    answer = httpx.post(f"{service}/v1/datasets?name=people", content=TABLE, headers={"Content-Type": "text/csv"})
    return str(answer.raise_for_status().json()["id"])


@pytest.fixture
def page(browser: Browser, service: str) -> Iterator[Page]:
    with checked_page(browser, service) as page:
        yield page


def column(page: Page, name: str) -> Any:
    return page.locator(".profile .column").filter(has=page.locator("h3").get_by_text(name))


def test_page_shows_columns_and_warnings(page: Page, dataset: str) -> None:
    page.goto(f"/datasets/{dataset}")
    expect(page.get_by_role("heading", level=1)).to_have_text("people")
    expect(page.get_by_text("200 rows · 5 columns")).to_be_visible()
    expect(page.get_by_role("img", name="Histogram of age, from 20 to 69")).to_be_visible()
    expect(column(page, "city")).to_contain_text("<i>Bonn</i>")
    expect(column(page, "<b>note</b>")).to_contain_text("160 missing (80 %)")
    warnings = page.get_by_role("list", name="Warnings")
    expect(warnings).to_contain_text("id_like_column")
    expect(warnings).not_to_contain_text("unbalanced_classes")
    page.get_by_label("Target").select_option("paid")
    expect(warnings).to_contain_text("unbalanced_classes")
    expect(page.get_by_text("Classes of paid")).to_be_visible()
    expect(column(page, "age")).to_contain_text("correlation ratio with the target")


def test_dataset_is_listed_and_trained_on(page: Page, service: str, dataset: str) -> None:
    page.goto("/")
    page.get_by_role("link", name=re.compile("people")).click()
    page.get_by_label("Target").select_option("paid")
    press(page, "Train on it")
    expect(page.locator("#spec")).to_have_value(re.compile(dataset))
    spec = json.loads(page.locator("#spec").input_value())
    assert spec["data"]["target"] == "paid"
    checked = httpx.post(f"{service}/v1/jobs/validate", json=spec)
    assert checked.status_code == 200, checked.text


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_page_fits_a_phone_and_a_screen(page: Page, dataset: str, scheme: Any, width: int) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"/datasets/{dataset}")
    expect(column(page, "age")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    color = page.locator(".histogram svg").first.evaluate("svg => getComputedStyle(svg).fill")
    assert color == ("rgb(79, 195, 181)" if scheme == "dark" else "rgb(15, 118, 110)")


def test_page_of_no_dataset_says_so(page: Page) -> None:
    page.goto("/#/datasets/ds_none")
    expect(page.get_by_role("alert").first).to_contain_text("dataset")
