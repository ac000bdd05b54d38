"""The pages in a real browser, with a running service and workers.

Every test also checks that its page sends no request to another host and logs no error or policy violation.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from core.jobs.examples import DOUBLING
from harness.processes import service as running_service
from tests.api.chromium import checked_page, chromium

TRAINING_TIMEOUT_MS = 60_000
expect.set_options(timeout=15_000)  # a busy machine is not an error of the page
VENDOR = Path(__file__).parents[3] / "api" / "static" / "vendor"

LINE = DOUBLING | {"training": {"epochs": 1, "batch_size": 5}}
LONG = LINE | {"training": {"epochs": 5_000_000, "batch_size": 5, "log_every": 100}}

CURVE_ENDS = """box => {
  const canvas = box.querySelector("canvas");
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const hex = getComputedStyle(box).getPropertyValue("--train").trim();
  const wanted = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  const found = [];
  for (let x = 0; x < canvas.width; x++)
    for (let y = 0; y < canvas.height; y++)
      if (wanted.every((part, at) => Math.abs(pixels[4 * (y * canvas.width + x) + at] - part) < 8)) found.push([x, y]);
  return [found[0], found.at(-1)];
}"""  # returns the first and the last pixel of the training curve: [[x, y], [x, y]]

POINTERS = [  # a JSON text, a pointer, and the text at the pointer
    ('{"a": {"b": [1, 22, 3]}}', "/a/b/1", "22"),
    ('{"a": {"b": [1, 22, 3]}}', "/a/b/9", "[1, 22, 3]"),
    ('{"b": "a", "a": "b"}', "/a", '"b"'),
    ('{"x/y": 1, "m~n": "}"}', "/m~0n", '"}"'),
    ('{"x/y": 1, "m~n": "}"}', "/x~1y", "1"),
    ('{"a": [[], {}, [{"b": null}]]}', "/a/2/0/b", "null"),
    ("[1, 2", "/1", "2"),
    ("]", "", "]"),
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_service(tmp_path_factory.mktemp("pages"), workers=2) as running:
        yield running.url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, service: str) -> Iterator[Page]:
    with checked_page(browser, service) as page:
        page.set_default_timeout(TRAINING_TIMEOUT_MS)
        yield page


def post(service: str, spec: dict[str, Any]) -> str:
    return str(httpx.post(f"{service}/v1/jobs", json=spec).raise_for_status().json()["id"])


def cancel(service: str, job: str) -> None:
    httpx.post(f"{service}/v1/jobs/{job}/cancel").raise_for_status()


def badge(page: Page) -> Any:
    return page.locator("[data-field=badge]")


def chart(page: Page) -> Any:
    return page.locator("[data-field=chart]")


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def test_docs_page_executes_an_example(page: Page) -> None:
    page.goto("/docs")
    operation = page.locator(".opblock", has=page.locator('[data-path="/v1/jobs"]')).and_(page.locator(".opblock-post"))
    operation.locator(".opblock-summary").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table tbody .response-col_status")).to_contain_text("201")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_docs_page_follows_the_scheme_and_leads_back(page: Page, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto("/docs")
    assert page.evaluate("document.documentElement.classList.contains('dark-mode')") is (scheme == "dark")
    page.get_by_role("link", name="Dashboard").click()
    expect(page.get_by_role("heading", name="Jobs")).to_be_visible()


@pytest.mark.parametrize("example", ["y = 2x", "xor", "spirals"])
def test_train_button_is_in_view(page: Page, example: str) -> None:
    page.goto("/")
    press(page, example)
    expect(page.get_by_role("button", name="Train", exact=True)).to_be_in_viewport(ratio=1)


def test_spec_of_a_job_is_used_as_a_new_job_and_copied(page: Page, service: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    job = post(service, LINE | {"name": "again"})
    page.goto(f"/#/jobs/{job}")
    press(page, "Copy")
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert json.loads(page.evaluate("navigator.clipboard.readText()"))["name"] == "again"
    press(page, "Use as a new job")
    expect(page.locator("#spec")).to_have_value(re.compile('"name": "again"'))


def test_labels_of_the_chart_fit_their_axis(page: Page) -> None:
    page.goto("/")
    width = page.evaluate("""async () => {
      const { labelWidth } = await import("./static/chart.js");
      const context = document.createElement("canvas").getContext("2d");
      context.font = "12px system-ui";
      return ["1.25e+37", "-2.5e-300", "0"].map((label) => labelWidth([label]) - 15 - context.measureText(label).width);
    }""")
    assert min(width) >= 0


def test_dashboard_trains_y_2x_draws_the_loss_and_predicts_12_for_6(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Train a network, watch it learn, predict with it.")
    press(page, "y = 2x")
    press(page, "Train")
    expect(badge(page)).to_have_text("succeeded", timeout=TRAINING_TIMEOUT_MS)
    expect(chart(page)).to_have_attribute("aria-label", re.compile(r"^loss at step 100: train \d"))
    press(page, "Predict")
    expect(page.locator(".predictions strong")).to_have_text(re.compile(r"^(12|12\.00\d*|11\.99\d*)$"))
    (left, top), (right, bottom) = chart(page).evaluate(CURVE_ENDS)
    assert right - left > 300
    assert bottom - top > 150


@pytest.mark.parametrize("example", ["xor", "spirals"])
def test_dashboard_example_trains_and_predicts(page: Page, example: str) -> None:
    page.goto("/")
    press(page, example)
    press(page, "Validate")
    expect(page.locator(".estimate")).to_contain_text("Valid.")
    press(page, "Train")
    expect(badge(page)).to_have_text("succeeded", timeout=TRAINING_TIMEOUT_MS)
    press(page, "Predict")
    expect(page.locator(".predictions li").first).to_contain_text("%")


def test_job_page_follows_the_job_and_enables_the_allowed_actions(page: Page, service: str) -> None:
    job = post(service, LONG)
    page.goto(f"/#/jobs/{job}")
    expect(badge(page)).to_have_text("running", timeout=TRAINING_TIMEOUT_MS)
    expect(page.get_by_role("button", name="Delete")).to_be_disabled()
    first = chart(page).get_attribute("aria-label", timeout=TRAINING_TIMEOUT_MS)
    expect(chart(page)).not_to_have_attribute("aria-label", str(first), timeout=TRAINING_TIMEOUT_MS)
    press(page, "Pause")
    expect(badge(page)).to_have_text("paused", timeout=TRAINING_TIMEOUT_MS)
    press(page, "Resume")
    expect(badge(page)).to_have_text("running", timeout=TRAINING_TIMEOUT_MS)
    press(page, "Cancel")
    expect(badge(page)).to_have_text("cancelled", timeout=TRAINING_TIMEOUT_MS)
    expect(page.get_by_role("button", name="Cancel")).to_be_disabled()
    page.on("dialog", lambda dialog: dialog.accept())
    press(page, "Delete")
    expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
    assert httpx.get(f"{service}/v1/jobs/{job}").status_code == 404


def test_job_page_of_a_diverged_job_shows_the_advice(page: Page, service: str) -> None:
    job = post(service, LINE | {"optimizer": {"type": "sgd", "learning_rate": 5}, "training": {"epochs": 100}})
    page.goto(f"/#/jobs/{job}")
    expect(badge(page)).to_have_text("failed", timeout=TRAINING_TIMEOUT_MS)
    expect(page.locator(".error")).to_contain_text("try a smaller learning rate")
    expect(page.get_by_text("try a smaller learning rate")).to_have_count(1)  # not in the history too


FRUIT = "size,colour,note,sweet\n" + "".join(
    f"{n % 7 + 0.5},{('red', 'green')[n % 2]},note number {n},{('no', 'yes')[n % 2]}\n" for n in range(60)
)


def upload(service: str, table: str) -> str:
    """Upload a table and return its id."""
    answer = httpx.post(f"{service}/v1/datasets", content=table, headers={"Content-Type": "text/csv"})
    return str(answer.raise_for_status().json()["id"])


def test_prediction_begins_with_a_row_of_the_jobs_own_data(page: Page, service: str) -> None:
    data = {"type": "dataset", "id": upload(service, FRUIT), "target": "sweet"}
    layers = {"layers": [{"type": "dense", "units": 2}]}
    job = post(service, {"name": "xor", "data": data, "architecture": layers, "training": {"epochs": 1}})
    page.goto(f"/#/jobs/{job}")
    expect(page.locator("#instances")).to_have_value(re.compile('"size": 0.5, "colour": "red"'))
    expect(badge(page)).to_have_text("succeeded")
    press(page, "Predict")
    expect(page.locator(".predictions li")).to_have_count(1)
    expect(page.locator(".predictions small")).to_have_count(0)  # no warning of a field that the model does not know


def test_confusion_matrix_is_drawn_with_its_classes(page: Page, service: str) -> None:
    data = {"type": "dataset", "id": upload(service, FRUIT), "target": "sweet", "validation": {"fraction": 0.5}}
    layers = {"layers": [{"type": "dense", "units": 2}]}
    training = {"epochs": 2, "metrics": ["confusion_matrix"]}
    job = post(service, {"data": data, "architecture": layers, "training": training})
    page.goto(f"/#/jobs/{job}")
    table = page.get_by_role(
        "table", name=re.compile("Confusion matrix of the best weights, epoch \\d, validation rows")
    )
    expect(table.get_by_role("columnheader")).to_have_text(["no", "yes"])
    expect(table.get_by_role("rowheader")).to_have_text(["no", "yes"])
    counts = [int(text) for text in table.locator("tbody td").all_text_contents()]
    assert (len(counts), sum(counts)) == (4, 30)


def test_job_page_reopens_a_broken_stream(page: Page, service: str) -> None:
    job = post(service, LONG)
    answers = [503]

    def break_once(route: Route) -> None:
        route.fulfill(status=answers.pop()) if answers else route.continue_()

    page.route("**/events*", break_once)
    page.goto(f"/#/jobs/{job}")
    expect(badge(page)).to_have_text("running", timeout=TRAINING_TIMEOUT_MS)
    while answers:  # the stored rows alone may change the chart: wait for rows after the break
        page.wait_for_timeout(50)
    first = chart(page).get_attribute("aria-label", timeout=TRAINING_TIMEOUT_MS)
    expect(chart(page)).not_to_have_attribute("aria-label", str(first), timeout=TRAINING_TIMEOUT_MS)
    cancel(service, job)
    expect(badge(page)).to_have_text("cancelled", timeout=TRAINING_TIMEOUT_MS)


def test_click_on_an_error_pointer_selects_its_place_in_the_spec(page: Page) -> None:
    page.goto("/")
    press(page, "y = 2x")
    editor = page.get_by_label("Job spec (JSON)")
    editor.fill(editor.input_value().replace('"units": 1', '"units": "one"'))
    press(page, "Train")
    pointer = page.locator(".problem").get_by_role("button", name="/architecture/layers/0/units")
    pointer.click()
    assert page.evaluate("getSelection().toString()") == '"one"'


def test_job_name_with_markup_is_shown_as_text(page: Page, service: str) -> None:
    name = "<img src=x onerror=\"document.title = 'taken'\">"
    job = post(service, LINE | {"name": name})
    page.goto("/")
    page.get_by_text(name).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    expect(badge(page)).to_have_text("succeeded", timeout=TRAINING_TIMEOUT_MS)
    assert page.url.endswith(job)
    assert page.locator("main img").count() == 0
    assert "taken" not in page.title().removeprefix(name)


def test_job_list_filters_by_status_and_loads_more(page: Page, service: str) -> None:
    for number in range(25):
        post(service, LINE | {"name": f"list {number}"})
    page.goto("/")
    expect(page.locator(".jobs li")).to_have_count(20)
    press(page, "Load more")
    expect(page.locator(".jobs .name", has_text=re.compile("^list 0$"))).to_be_visible()
    page.get_by_label("Status").select_option("failed")
    expect(page.locator(".jobs .name", has_text="list")).to_have_count(0)


def test_unknown_job_and_unreachable_service_are_reported(page: Page) -> None:
    page.goto("/#/jobs/job_7zzzzzzzzzzzzzzzzzzzzzzzzz")
    expect(page.locator(".problem")).to_contain_text("job_7zzzzzzzzzzzzzzzzzzzzzzzzz")
    page.route("**/health/ready", lambda route: route.abort())
    page.reload()
    expect(page.locator("#health")).to_contain_text("The service does not answer.")


@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (375, "dark")])
def test_narrow_screen_needs_no_horizontal_scrolling(page: Page, service: str, width: int, scheme: Any) -> None:
    job = post(service, LINE | {"name": "a name with a long unbreakable word " + "x" * 80})
    page.set_viewport_size({"width": width, "height": 720})
    page.emulate_media(color_scheme=scheme)
    for path in ("/", f"/#/jobs/{job}"):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_first_example_of_the_dashboard_is_the_documented_one(page: Page) -> None:
    page.goto("/")
    spec = page.evaluate("async () => (await import('/static/examples.js')).EXAMPLES[0].spec")
    assert spec == {name: value for name, value in DOUBLING.items() if name != "metadata"}


def test_locate_returns_the_text_at_a_pointer(page: Page) -> None:
    page.goto("/")
    for text, pointer, found in POINTERS:
        call = "async args => (await import('/static/pointer.js')).locate(...args)"
        start, end = page.evaluate(call, [text, pointer])
        assert text[start:end] == found, (text, pointer)


@pytest.mark.parametrize("source", sorted(VENDOR.glob("*/SOURCE.md")), ids=lambda path: path.parent.name)
def test_vendored_files_match_the_hashes_in_their_source_file(source: Path) -> None:
    named = dict(re.findall(r"\| (\S+) \| `([0-9a-f]{64})` \|", source.read_text()))
    files = [path for path in source.parent.iterdir() if path != source]
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files} == named
    assert "LICENSE" in named
