"""The page as people use it: in a real browser, with the network out of reach."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select

from app.core.files import write_private
from app.reports import html_page as page
from app.reports.html_page import render, with_thumbnails, write_report
from app.reports.photo_review import Changes, Distribution, Entry, Review
from app.runs.result import RunResult
from app.runs.shared_photos import MAX_THUMBNAIL_BYTES
from tests.support.browser import missing_browser, running_browser

SCRIPT = "<script>document.title = 'tomada'</script>"
PHONE = (390, 800)  # pixels


def entry(crew_id: str, name: str, kind: str = "retake", title: str = "Sin rostro", **values: Any) -> Entry:
    words = (f"{crew_id}.jpg", kind, "no_face", title, "no se ve", "Tome la foto de nuevo.")
    return replace(Entry(crew_id, name, *words), **values)


ENTRIES = (
    entry("20", "Zoë Ibáñez", change="new", recognised=False),
    entry("3", "Ángel Núñez", change="open"),
    entry("100", f"Bea {SCRIPT}", title='Foto <b>"oscura"</b>', change="open"),
    entry("7", "Carla Paz", "improve", "Algo borrosa"),
    entry("9", "Darío Gil", "technical", "Error inesperado"),
)
REVIEW = Review(
    datetime(2026, 11, 22, 6, 0),
    "4 personas no se pudieron registrar.",
    "",
    RunResult().count(),
    ENTRIES,
    Changes(("Eva <i>Sol</i> (8)",), new=1, open=2),
    (Distribution("Sharpness", "La cara está borrosa", (3, 61, 62), warn=40, reject=10),),
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chrome]:
    """One browser for this file. Skips where there is none, unless REQUIRE_BROWSER=1."""
    if missing := missing_browser():
        reason = f"falta {' y '.join(missing)}: apt-get install chromium chromium-driver"
        (pytest.fail if os.environ.get("REQUIRE_BROWSER") == "1" else pytest.skip)(reason)
    with running_browser() as browser:
        yield browser


@pytest.fixture
def browser(chromium: Chrome) -> Iterator[Chrome]:
    """Give each test the same browser, with a wide, light screen: what the test before changed is reset."""
    yield chromium
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


@pytest.fixture
def opened(browser: Chrome, tmp_path: Path) -> Chrome:
    """Open the report of ENTRIES in the browser."""
    return show(browser, REVIEW, tmp_path)


def show(browser: Chrome, review: Review, folder: Path) -> Chrome:
    write_report(review, folder, thumbnails=True)
    browser.get((folder / "report.html").as_uri())
    return browser


def shown(browser: Chrome) -> list[str]:
    """Return the crew_ids that are visible, in their order."""
    found = browser.find_elements(By.CSS_SELECTOR, ".entry .id")
    return [element.text for element in found if element.is_displayed()]


def search(browser: Chrome, words: str) -> list[str]:
    box = browser.find_element(By.ID, "search")
    box.clear()
    box.send_keys(words)
    return shown(browser)


def choose(browser: Chrome, name: str, text: str) -> list[str]:
    Select(browser.find_element(By.ID, name)).select_by_visible_text(text)
    return shown(browser)


def style_of(browser: Chrome, selector: str, name: str) -> str:
    return str(browser.find_element(By.CSS_SELECTOR, selector).value_of_css_property(name))


def test_everything_is_there_with_what_could_be_better_folded(opened: Chrome) -> None:
    assert shown(opened) == ["20", "3", "100", "9"]
    assert opened.find_element(By.TAG_NAME, "h1").text == REVIEW.sentence
    opened.find_element(By.CSS_SELECTOR, ".improve summary").click()
    assert shown(opened) == ["20", "3", "100", "7", "9"]


def test_who_failed_and_is_recognised_all_the_same_is_marked(opened: Chrome) -> None:
    marked = "//li[.//p[text()='Sigue siendo reconocible']]//*[@class='id']"
    assert [each.text for each in opened.find_elements(By.XPATH, marked)] == ["3", "100", "9"]


@pytest.mark.parametrize(
    ("words", "found"),
    [("nunez", ["3"]), ("ÁNGEL", ["3"]), ("zoe IBAÑEZ", ["20"]), ("paz", ["7"]), ("100", ["100"]), ("x", [])],
)
def test_search_finds_names_whatever_their_accents_and_case(opened: Chrome, words: str, found: list[str]) -> None:
    assert search(opened, words) == found
    assert opened.find_element(By.ID, "shown").text == f"Se muestran {len(found)} de 5"
    assert opened.find_element(By.ID, "nothing").is_displayed() == (not found)


def test_the_filter_shows_one_reason_and_search_narrows_it(opened: Chrome) -> None:
    assert choose(opened, "reason", "Sin rostro (2)") == ["20", "3"]
    assert search(opened, "zoe") == ["20"]
    search(opened, "")
    assert choose(opened, "reason", "Todos (5)") == ["20", "3", "100", "9"]


def test_the_folded_group_unfolds_for_what_was_asked_and_then_is_as_it_was_left(opened: Chrome) -> None:
    assert choose(opened, "reason", "Algo borrosa (1)") == ["7"]
    assert choose(opened, "reason", "Todos (5)") == ["20", "3", "100", "9"]
    opened.find_element(By.CSS_SELECTOR, ".improve summary").click()
    assert search(opened, "zoe") == ["20"]
    search(opened, "carla")
    assert choose(opened, "reason", "Algo borrosa (1)") == ["7"]
    opened.find_element(By.ID, "search").send_keys(Keys.ESCAPE)
    assert choose(opened, "reason", "Todos (5)") == ["20", "3", "100", "7", "9"]


def test_the_order_is_by_name_by_number_or_by_novelty_within_each_group(opened: Chrome) -> None:
    assert choose(opened, "order", "Por nombre") == ["3", "100", "20", "9"]
    assert choose(opened, "order", "Por identificador") == ["3", "20", "100", "9"]
    assert choose(opened, "order", "Primero las nuevas") == ["20", "3", "100", "9"]
    assert choose(opened, "order", "Por motivo") == ["20", "3", "100", "9"]


def test_what_the_roster_holds_is_shown_as_text_and_never_runs(opened: Chrome) -> None:
    assert opened.title == "Fotos por corregir · 22/11/2026"
    names = [element.text for element in opened.find_elements(By.CSS_SELECTOR, ".entry h3")]
    assert f"Bea {SCRIPT}" in names
    assert opened.find_elements(By.CSS_SELECTOR, ".entry script, .defect b b, .names i") == []


def test_the_browser_has_nothing_to_object_and_nothing_to_fetch(opened: Chrome) -> None:
    assert opened.get_log("browser") == []  # neither errors nor anything that the policy stopped
    assert opened.execute_script("return performance.getEntriesByType('resource').length") == 0


def test_the_policy_stops_a_script_that_is_not_ours(opened: Chrome) -> None:
    opened.execute_script(
        "const script = document.createElement('script'); script.textContent = \"document.title = 'tomada'\";"
        "document.body.append(script); document.body.setAttribute('onclick', \"document.title = 'tomada'\");"
    )
    opened.find_element(By.TAG_NAME, "h1").click()
    assert opened.title == "Fotos por corregir · 22/11/2026"
    assert "Content Security Policy" in str(opened.get_log("browser"))


def test_everything_can_be_done_from_the_keyboard(opened: Chrome) -> None:
    def press(*keys: str) -> str:
        opened.switch_to.active_element.send_keys(*keys)
        return str(opened.switch_to.active_element.get_attribute("id") or opened.switch_to.active_element.text)

    opened.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert opened.switch_to.active_element.text == "Ir a la lista"
    assert press(Keys.ENTER) == "lista"
    assert press(Keys.TAB) == "search"
    press("bea")
    assert shown(opened) == ["100"]
    press(Keys.ESCAPE)
    assert press(Keys.TAB) == "reason"
    press("Sin")
    assert shown(opened) == ["20", "3"]
    press(Keys.HOME)
    assert press(Keys.TAB) == "order"
    press("Por nombre")
    assert shown(opened)[:3] == ["3", "100", "20"]
    assert press(Keys.TAB) == "print"
    assert press(Keys.TAB) == "Fotos mejorables 1"
    assert style_of(opened, "summary:focus", "outline-style") == "solid"


def test_a_screen_reader_finds_headings_names_and_what_changed(opened: Chrome) -> None:
    outline = [(e.tag_name, e.accessible_name) for e in opened.find_elements(By.CSS_SELECTOR, "h1, h2")]
    assert outline[:3] == [
        ("h1", REVIEW.sentence),
        ("h2", "Desde la ejecución anterior"),
        ("h2", "Fotos por corregir 3"),
    ]
    names = {e.get_attribute("id"): e.accessible_name for e in opened.find_elements(By.CSS_SELECTOR, "input, select")}
    assert names == {"search": "Buscar", "reason": "Motivo", "order": "Orden"}
    assert opened.find_element(By.ID, "shown").aria_role == "status"
    assert opened.find_element(By.TAG_NAME, "html").get_attribute("lang") == "es"


def test_print_is_a_clean_list_on_white(opened: Chrome) -> None:
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": dark})
    assert shown(opened) == ["20", "3", "100", "9"]
    for selector in (".tools", ".badge", ".plots", ".improve details", ".changes details", ".file"):
        assert style_of(opened, selector, "display") == "none", selector
    assert style_of(opened, ".entry", "content-visibility") == "visible"  # or what is out of sight prints empty
    assert style_of(opened, "body", "background-color") == "rgba(255, 255, 255, 1)"


def test_dark_mode_is_dark(opened: Chrome) -> None:
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": dark})
    assert style_of(opened, "body", "background-color") == "rgba(20, 23, 27, 1)"


def test_nothing_is_wider_than_a_phone(opened: Chrome) -> None:
    width, height = PHONE
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    assert opened.execute_script("return document.documentElement.scrollWidth") == width


def test_without_scripts_the_list_is_complete_and_no_dead_control_is_shown(browser: Chrome, tmp_path: Path) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    show(browser, REVIEW, tmp_path)
    assert shown(browser) == ["20", "3", "100", "9"]
    assert not browser.find_element(By.CSS_SELECTOR, ".tools").is_displayed()


def test_the_face_is_framed_where_it_is_in_the_photo(browser: Chrome, tmp_path: Path, portrait_jpeg: bytes) -> None:
    framed = entry("1", "Eileen", thumbnail=portrait_jpeg, box=(0.25, 0.1, 0.5, 0.4))
    show(browser, replace(REVIEW, entries=(framed,)), tmp_path)
    photo, frame = (browser.find_element(By.CSS_SELECTOR, f".photo {name}").rect for name in ("img", "rect"))
    assert photo["width"] == photo["height"] == 112
    assert frame["x"] - photo["x"] == pytest.approx(28, abs=2)  # the line is two pixels wide
    assert frame["width"] == pytest.approx(56, abs=3)
    assert frame["height"] == pytest.approx(45, abs=3)


def test_a_run_without_failures_says_so(browser: Chrome, tmp_path: Path) -> None:
    show(browser, replace(REVIEW, entries=()), tmp_path)
    assert browser.find_element(By.CSS_SELECTOR, ".fine").text == "✓ Ninguna foto por corregir."
    assert browser.get_log("browser") == []


def test_who_is_back_has_a_figure_of_its_own() -> None:
    assert "De vuelta" not in render(REVIEW, thumbnails=True)
    counts = replace(REVIEW.counts, skipped=5, returned=2)
    text = render(replace(REVIEW, counts=counts), thumbnails=True)
    assert "<dt>De vuelta, misma foto</dt><dd>2</dd>" in text
    assert "<dt>Ya al día</dt><dd>3</dd>" in text


def test_a_run_that_was_cut_short_is_announced() -> None:
    assert 'class="alert"' not in render(REVIEW, thumbnails=True)
    held_back = replace(REVIEW, held_back=("No se desactivó a <nadie>",))
    assert '<p class="alert">No se desactivó a &lt;nadie&gt;</p>' in render(held_back, thumbnails=True)
    text = render(replace(REVIEW, error="No hay conexión & ya."), thumbnails=True)
    assert "La ejecución se detuvo antes de terminar.</strong> No hay conexión &amp; ya.</p>" in text


def test_both_files_are_their_owners_alone_and_nothing_else_is_left(tmp_path: Path) -> None:
    for name in ("report.html", "report.csv"):
        (tmp_path / name).write_text("de antes")
        (tmp_path / name).chmod(0o644)
    write_report(REVIEW, tmp_path, thumbnails=True)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"report.html": 0o600, "report.csv": 0o600}
    assert all("Zoë Ibáñez" in path.read_text(encoding="utf-8") for path in tmp_path.iterdir())


def test_a_file_that_cannot_be_replaced_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(OSError, match=re.escape("report.html")):
        write_private(tmp_path / "report.html", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_without_thumbnails_no_picture_is_in_the_page() -> None:
    review = replace(REVIEW, entries=(entry("1", "Ana", thumbnail=b"secreto", box=(0.1, 0.1, 0.5, 0.5)),))
    assert "data:image/jpeg;base64,c2VjcmV0bw==" in render(review, thumbnails=True)
    assert "data:image" not in render(review, thumbnails=False)


def test_beyond_the_budget_entries_go_without_thumbnail() -> None:
    entries = [entry(str(n), "Ana", thumbnail=b"123456") for n in range(3)]  # eight characters each
    rows = list(with_thumbnails(entries, budget=17))
    assert rows == [(entries[0], "MTIzNDU2"), (entries[1], "MTIzNDU2"), (entries[2], "")]


def test_all_thumbnails_together_take_what_a_run_may_gather() -> None:
    assert page.THUMBNAILS_BUDGET == MAX_THUMBNAIL_BYTES / 3 * 4


def test_the_page_of_10000_people_is_under_20_mb_and_says_who_goes_without_thumbnail() -> None:
    entries = tuple(entry(str(n), f"Persona {n} de Nombre Largo", thumbnail=b"x" * 6000) for n in range(10_000))
    text = render(replace(REVIEW, entries=entries), thumbnails=True)
    fitting = page.THUMBNAILS_BUDGET // 8000
    assert len(text.encode()) < 20_000_000
    assert f"{10_000 - fitting} de las fotos se muestran sin miniatura" in text
    assert text.count("data:image/jpeg") == fitting


def test_10000_people_are_filtered_without_delay(browser: Chrome, tmp_path: Path) -> None:
    entries = tuple(entry(str(n), f"Persona {n}", thumbnail=b"x" * 1000) for n in range(10_000))
    show(browser, replace(REVIEW, entries=entries), tmp_path)
    milliseconds = browser.execute_script(
        "const begun = performance.now(); const box = document.getElementById('search'); box.value = '99';"
        "box.dispatchEvent(new Event('input')); document.body.offsetHeight; return performance.now() - begun"
    )
    assert browser.find_element(By.ID, "shown").text == "Se muestran 280 de 10000"
    assert milliseconds < 1000  # 50 to 110 on two cores that are busy with other things
