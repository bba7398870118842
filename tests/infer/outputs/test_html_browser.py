"""The report in a real browser, used as a person uses it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER), reason="no Chromium with its driver is installed (chromium, chromedriver)"
)

HOSTILE = "<script>alert(1)</script>.jpg"
"""Of a file `script>.jpg` in a folder `<script>alert(1)<`."""
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--window-size=1280,1000"),
)
ROWS = 2500


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Path:
    """A report on 2,500 rows, of which four are of photographs that are there."""
    from dgqa_infer import Bundle, Scorer
    from dgqa_infer.outputs.html import HtmlSink
    from dgqa_infer.outputs.html.pictures import Picturing

    folder = tmp_path_factory.mktemp("browser")
    for name, grey in ((HOSTILE, 0), ("dark.png", 20), ("bright.png", 240), ("white.png", 255)):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (60, 40), (grey,) * 3).save(folder / name, "PNG")
    with Scorer(tiny_bundle, device="cpu") as scorer:
        rows = [
            result.row()
            for result in scorer.score_many(sorted(path for path in folder.rglob("*.*") if path.is_file()))
        ]
    model = Bundle.load(tiny_bundle).model_id
    for number in range(len(rows), ROWS):
        path = f"set/{number:04}.jpg"
        if number % 100 == 7:
            error = {"code": "truncated" if number % 200 == 7 else "empty", "message": "<b>it ends</b> early"}
            rows.append({"path": path, "error": error, "model": model})
            continue
        grain = {"name": "<i>grain</i>", "probability": 0.7, "severity": 2.2}
        found = [grain] if number % 50 == 0 else []
        values = {"score": 30 + number % 40, "raw": 3.0, "spread": number % 7 / 10, "width": 40, "height": 30}
        rows.append({"path": path, **values, "warnings": [], "model": model, "distortions": found})
    measured = {"sharpness": 0.7, "brightness": 9.0, "clipped": 0.12, "noise": 0.5}
    rows[-2] |= {"width": 900, "height": 900, "attributes": measured}
    rows[-1] |= {"width": 900, "height": 900, "attributes": measured | {"brightness": 45.0, "clipped": 0.0}}
    output = folder / "report.html"
    with output.open("wb") as stream, HtmlSink(stream, str(tiny_bundle), Picturing(worst=2)) as sink:
        for row in rows:
            sink.write(row)
    return output


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER or ""
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER or ""))
    yield driver
    driver.quit()


class Shown:
    """A page in the browser."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements("css selector", selector)  # type: ignore[no-any-return]

    def one(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def texts(self, selector: str) -> list[str]:
        script = "return [...document.querySelectorAll(arguments[0])].map((each) => each.textContent)"
        return self.driver.execute_script(script, selector)  # type: ignore[no-any-return]

    def press(self, *keys: str) -> None:
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def focused(self) -> str:
        return self.driver.execute_script("return document.activeElement.textContent")  # type: ignore[no-any-return]

    def until(self, condition: Callable[[], Any]) -> Any:
        from selenium.webdriver.support.wait import WebDriverWait

        return WebDriverWait(self.driver, 30, 0.05).until(lambda _: condition())

    def colour(self, selector: str) -> str:
        return self.one(selector).value_of_css_property("background-color")  # type: ignore[no-any-return]

    def media(self, **features: str) -> None:
        named = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        media = next((each["value"] for each in named if each["name"] == "media"), "")
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": named})


@pytest.fixture
def page(driver: Any, file: Path) -> Iterator[Shown]:
    """The page, just opened; at the end nothing may have gone wrong in it."""
    driver.get(file.as_uri())
    yield Shown(driver)
    assert driver.get_log("browser") == []
    assert (
        driver.execute_script("return performance.getEntriesByType('resource').map((each) => each.name)")
        == []
    )


def test_it_says_what_there_is(page: Shown) -> None:
    assert "2,500 photographs" in page.one("#about").text
    assert page.one("#count").text == "2,500 photographs"
    assert sorted(page.texts("#failures .name")) == ["empty", "truncated"]
    assert len(page.all("#histogram button")) == 20
    assert len(page.all("#body tr")) == 100
    assert page.texts("#worst .pill")[0] == "0.0"
    assert page.texts("#best .pill")[0] == "100.0"
    assert [image.get_property("naturalWidth") for image in page.all("#worst img, #best img")] == [60] * 4


def test_names_and_messages_are_text(page: Shown) -> None:
    page.one("#text").send_keys("alert(1)")
    page.until(lambda: page.one("#count").text.startswith("1 of "))
    assert page.texts("#body .path")[0].endswith(HOSTILE)
    page.one("#body .path button").click()
    assert page.one("#photo-name").text.endswith(HOSTILE)
    assert page.one("#picture-photo").is_displayed()
    # No script of the name's, and no alert: asking for one that is not there is an error of the driver's.
    from selenium.common.exceptions import NoAlertPresentException

    with pytest.raises(NoAlertPresentException):
        page.driver.switch_to.alert.dismiss()
    assert len(page.all("script")) == 4
    assert not page.all("main i, main b, dialog i, dialog b")


def test_columns_sort_both_ways_and_say_so(page: Shown) -> None:
    (heading,) = [each for each in page.all("th") if each.text.startswith("Score")]
    assert heading.get_attribute("aria-sort") == "ascending"
    scores = [float(text) for text in page.texts("#body .pill")]
    assert scores[0] == 0
    assert scores == sorted(scores)
    heading.find_element("css selector", "button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert page.texts("#body .pill")[:3] == ["100.0", "94.1", "69.0"]
    # What has no score comes last either way.
    page.one("#pages button:last-child").click()
    assert set(page.texts("#body .pill")[-20:]) == {"none"}
    assert [each.get_attribute("aria-sort") for each in page.all("th")].count("none") == 5


def test_filters_narrow_the_table_and_are_cleared(page: Shown) -> None:
    page.one("#text").send_keys("SET/001")
    page.until(lambda: page.one("#count").text == "10 of 2,500 photographs")
    page.one("#clear").click()
    page.until(lambda: page.one("#count").text == "2,500 photographs")
    page.all("#failures .name")[0].click()
    assert page.one("#count").text in ("12 of 2,500 photographs", "13 of 2,500 photographs")
    assert all("<b>it ends</b> early" in text for text in page.texts("#body .remarks"))
    page.one("#clear").click()
    page.one("#distortions .name").click()
    assert page.one("#count").text == f"{len(range(50, ROWS, 50))} of 2,500 photographs"
    page.one("#clear").click()
    page.one("#low").send_keys("95")
    page.until(lambda: page.one("#count").text == "1 of 2,500 photographs")
    page.one("#clear").click()
    page.one("#text").send_keys("there is none")
    page.until(lambda: page.one("#count").text == "0 of 2,500 photographs")


def test_a_bar_lists_its_photographs(page: Shown) -> None:
    from selenium.webdriver import Keys

    first = page.one("#histogram button")
    page.driver.execute_script("arguments[0].focus()", first)
    page.press(Keys.ARROW_RIGHT * 6, Keys.ENTER)
    listed = page.one("#histogram button[aria-pressed=true]").get_attribute("title")
    assert listed.startswith("30 to 35: ")
    number = int(listed.split(": ")[1].split()[0])
    assert page.one("#count").text.startswith(f"{number} of ")
    assert {float(text) for text in page.texts("#body .pill")} <= {30.0, 31.0, 32.0, 33.0, 34.0}
    page.press(Keys.ENTER)
    assert page.one("#count").text == "2,500 photographs"


def test_pages_turn(page: Shown) -> None:
    page.one("th[data-column=order] button").click()
    first, previous, following, last = page.all("#pages button")
    assert not first.is_enabled()
    assert not previous.is_enabled()
    following.click()
    assert page.one("#pages span").text == "101 to 200 of 2,500"
    last.click()
    assert page.texts("#body tr td:first-child")[-1] == "2,500"
    assert not following.is_enabled()
    first.click()
    assert page.texts("#body tr td:first-child")[0] == "1"


def test_a_photograph_is_seen_with_its_map_and_escape_closes_it(page: Shown) -> None:
    from selenium.webdriver import Keys

    opener = page.one("#worst button")
    page.driver.execute_script("arguments[0].focus()", opener)
    page.press(Keys.ENTER)
    assert page.one("#photo").is_displayed()
    # The photograph as it is; a key lays the map over it, and takes it away again.
    assert not page.one("#picture-map").is_displayed()
    page.press("m")
    assert page.one("#picture-map").is_displayed()
    photo, overlay = (page.one(f"#picture-{name}").rect for name in ("photo", "map"))
    assert photo == overlay
    page.press("m")
    assert not page.one("#picture-map").is_displayed()
    name = page.one("#photo-name").text
    page.press(Keys.ARROW_RIGHT)
    assert page.one("#photo-name").text != name
    page.press(Keys.ARROW_LEFT)
    assert page.one("#photo-name").text == name
    page.press(Keys.ESCAPE)
    page.until(lambda: not page.one("#photo").is_displayed())
    assert page.driver.switch_to.active_element == opener


def test_a_photograph_without_a_picture_or_a_score_is_seen_too(page: Shown) -> None:
    page.one("#text").send_keys("set/0107")
    page.until(lambda: len(page.all("#body tr")) == 1)
    page.one("#body .path button").click()
    assert not page.one("#picture").is_displayed()
    assert "<b>it ends</b> early" in page.one("#facts").text
    page.one("#close").click()
    page.until(lambda: not page.one("#photo").is_displayed())


def test_everything_can_be_reached_and_used_with_the_keyboard_alone(page: Shown) -> None:
    from selenium.webdriver import Keys

    seen: list[str] = []
    for _ in range(40):
        page.press(Keys.TAB)
        seen.append(
            page.driver.execute_script(
                "return document.activeElement.id || document.activeElement.textContent"
            )
        )
        if seen[-1] == "What is wrong":
            break
    assert {"text", "kind", "low", "high", "clear", "Score", "Photograph", "What is wrong"} <= set(seen)
    page.press(Keys.ENTER)
    assert page.all("th")[-1].get_attribute("aria-sort") == "ascending"


def test_it_is_dark_where_the_reader_wants_it_dark_and_plain_on_paper(page: Shown) -> None:
    try:
        page.media(prefers_color_scheme="light")
        light = page.colour("html")
        page.media(prefers_color_scheme="dark")
        dark = page.colour("html")
        assert sum(json.loads(light.replace("rgba(", "[").replace(")", "]"))[:3]) > 700
        assert sum(json.loads(dark.replace("rgba(", "[").replace(")", "]"))[:3]) < 100
        page.media(media="print")
        assert not page.one("#filter").is_displayed()
        assert page.one("#histogram").is_displayed()
        assert page.colour("html") == "rgba(255, 255, 255, 1)"
    finally:
        page.media()


@pytest.mark.parametrize(("media", "width"), [("screen", 390), ("print", 700)])
def test_on_a_phone_and_on_paper_nothing_is_wider_than_there_is_room(
    page: Shown, media: str, width: int
) -> None:
    room = {"width": width, "height": 844, "deviceScaleFactor": 2, "mobile": media == "screen"}
    wide = "return document.documentElement.scrollWidth"
    try:
        page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", room)
        for view in ("pictures", "table"):
            page.media()
            page.one(f"#as button[value={view}]").click()
            page.media(media=media)
            assert page.driver.execute_script(wide) <= width, view
    finally:
        page.media()
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_cards_say_why_and_marked_names_are_listed_to_be_copied(page: Shown) -> None:
    from selenium.webdriver import Keys

    page.driver.execute_script("arguments[0].focus()", page.one("#worst button"))
    page.press("x", Keys.ARROW_RIGHT, "x")
    assert page.one("#marked-count").text == "2 photographs marked"
    page.one("#copy").click()
    names = page.one("#marked-names").get_property("value").splitlines()
    assert len(names) == 2
    assert names[0].endswith(HOSTILE)
    page.driver.execute_script(
        "const kind = document.getElementById('kind'); kind.value = 'marked';"
        "kind.dispatchEvent(new Event('input', { bubbles: true }))"
    )
    page.until(lambda: page.one("#count").text == "2 of 2,500 photographs")
    page.one("#unmark").click()
    assert not page.one("#marked").is_displayed()


def test_photographs_are_shown_as_pictures_or_as_a_table_the_worst_first(page: Shown) -> None:
    assert page.one("#lines").is_displayed()
    page.one("#as button[value=pictures]").click()
    assert len(page.all("#grid li")) == 60
    assert not page.one("#lines").is_displayed()
    assert page.texts("#grid .pill")[0] == "0.0"
    page.one("#clear").click()
    page.one("#distortions .name").click()
    assert set(page.texts("#grid .why")) == {"<i>grain</i>, slightly annoying"}


def test_a_card_without_a_named_fault_says_what_stands_out(page: Shown) -> None:
    page.one("#as button[value=pictures]").click()
    page.one("#text").send_keys("set/2498")
    page.until(lambda: len(page.all("#grid li")) == 1)
    assert page.texts("#grid .why") == [
        "dark: mean brightness 9 of 100 · 12\u00a0% of the pixels are clipped"
    ]
    page.one("#grid button").click()
    assert "dark: mean brightness 9 of 100\n12 % of the pixels are clipped" in page.one("#facts").text
    page.one("#close").click()
    page.one("#clear").click()
    page.one("#text").send_keys("set/2499")
    page.until(lambda: page.texts("#grid .why") == ["nothing stands out; rated low as a whole"])


def test_what_is_for_model_makers_is_folded(page: Shown) -> None:
    assert not page.one("#profile").is_displayed()
