"""The evaluation report in a real browser: what a person does with it."""

import shutil
from types import SimpleNamespace

import pytest
from report_example.evaluation import example_evaluation, example_history
from report_example.heads import example_cases

from mri_cyclegan.evaluation.report.page import write_report

webdriver = pytest.importorskip(
    "selenium.webdriver", reason="selenium is not installed: the report is not tried in a browser"
)
By = pytest.importorskip("selenium.webdriver.common.by").By

BROWSER, DRIVER = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER), reason="no chromium and chromedriver: the report is not tried in a browser"
)

OFFLINE = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(
        path,
        example_evaluation(5),
        {direction: example_cases(direction) for direction in ("ab", "ba")},
        example_history(3),
    )
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for word in (*OFFLINE, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(word)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def case(browser, report):
    """The first case of the page, freshly opened on a desktop."""
    resize(browser, 1280)
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    browser.get(report.as_uri())
    figure = browser.find_element(By.CSS_SELECTOR, ".case")
    found = {name: figure.find_element(By.CSS_SELECTOR, name) for name in ("input", "output", ".strip", ".strip img")}
    back, forward = figure.find_elements(By.TAG_NAME, "button")
    case = SimpleNamespace(
        slider=found["input"], strip=found[".strip"], back=back, forward=forward, figure=figure, output=found["output"]
    )
    case.picture = lambda: found[".strip img"].get_attribute("src")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", case.strip)
    return case


def resize(browser, width):
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def test_arrow_keys_step_through_the_slices(case):
    expected = example_cases()[0]
    keys = webdriver.Keys
    for pressed, place in (("", 2), (keys.ARROW_RIGHT, 3), (keys.HOME, 0), (keys.END + keys.ARROW_RIGHT, 4)):
        case.slider.send_keys(pressed)
        assert case.picture() == expected.slices[place]
        assert case.output.text == f"slice {expected.slice_numbers[place]} ({place + 1} of 5)"
        assert case.slider.get_attribute("aria-valuetext") == case.output.text


def test_buttons_step_and_stay_at_the_ends(browser, case):
    for expected in ("4 of 5", "5 of 5", "5 of 5"):
        case.forward.click()
        assert expected in case.output.text
    assert case.forward.get_attribute("aria-disabled") == "true"
    assert case.back.get_attribute("aria-disabled") == "false"
    case.back.send_keys(webdriver.Keys.ENTER)
    assert "4 of 5" in case.output.text
    assert case.slider.get_attribute("value") == "3"
    assert browser.switch_to.active_element == case.back


def test_a_click_on_either_half_of_the_picture_steps(browser, case):
    for side, expected in ((1, "4 of 5"), (1, "5 of 5"), (-1, "4 of 5"), (-1, "3 of 5"), (-1, "2 of 5")):
        offset = side * case.strip.size["width"] // 4
        webdriver.ActionChains(browser).move_to_element_with_offset(case.strip, offset, 0).click().perform()
        assert expected in case.output.text


def test_cases_step_independently(browser, case):
    case.slider.send_keys(webdriver.Keys.ARROW_RIGHT)
    outputs = [output.text for output in browser.find_elements(By.CSS_SELECTOR, ".case output")]
    assert [text.split("(")[1] for text in outputs] == ["4 of 5)"] + ["3 of 5)"] * 5


def test_the_keyboard_reaches_everything_in_order_and_shows_where_it_is(browser, case):
    browser.execute_script("window.scrollTo(0, 0); document.activeElement.blur()")
    reached = []
    for _ in range(30):
        webdriver.ActionChains(browser).send_keys(webdriver.Keys.TAB).perform()
        element = browser.switch_to.active_element
        reached.append(element)
        assert element.value_of_css_property("outline-style") != "none"
    assert reached[0].get_attribute("textContent") == "Skip to the results"
    places = [reached.index(control) for control in (case.back, case.slider, case.forward)]
    assert places == list(range(places[0], places[0] + 3))


def test_a_telephone_shows_two_panels_by_two_and_never_scrolls_sideways(browser, case):
    for width in (360, 320, 700):
        resize(browser, width)
        browser.execute_script("document.querySelectorAll('details').forEach((one) => one.open = true)")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    resize(browser, 360)
    first, second = case.figure.find_elements(By.CSS_SELECTOR, ".strip > div")
    assert second.is_displayed()
    assert second.rect["y"] >= first.rect["y"] + first.rect["height"]
    case.forward.click()
    pictures = [picture.get_attribute("src") for picture in case.figure.find_elements(By.CSS_SELECTOR, ".strip img")]
    assert pictures == [example_cases()[0].slices[3]] * 2
    wide = case.strip.size["width"] * 2
    assert [picture.size["width"] for picture in case.figure.find_elements(By.CSS_SELECTOR, ".strip img")] == [wide] * 2


def test_without_scripts_the_middle_slices_stand_there(browser, report):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.get(report.as_uri())
    pictures = browser.find_elements(By.CSS_SELECTOR, ".strip > div:not(.second) img")
    shown = [picture.get_attribute("src") for picture in pictures]
    assert shown == [case.slices[2] for case in example_cases()] * 2
    assert all(picture.is_displayed() for picture in pictures)
    assert not any(slider.is_displayed() for slider in browser.find_elements(By.TAG_NAME, "input"))
    assert browser.find_element(By.TAG_NAME, "output").text == f"slice {example_cases()[0].slice_numbers[2]}"


def test_printing_opens_what_is_closed_and_closes_it_again(browser, case):
    is_open = "return [...document.querySelectorAll('details')].map((one) => one.open)"
    browser.find_element(By.TAG_NAME, "summary").click()
    before = browser.execute_script(is_open)
    assert before == [True, False, False, False]
    browser.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert browser.execute_script(is_open) == [True] * 4
    browser.execute_script("dispatchEvent(new Event('afterprint'))")
    assert browser.execute_script(is_open) == before


def test_the_page_asks_nobody_and_has_no_complaint(browser, case):
    names = browser.execute_script("return performance.getEntriesByType('resource').map((one) => one.name)")
    assert all(name.startswith("data:") for name in names)
    widths = browser.execute_script(
        "return [...document.images].filter((one) => one.src).map((one) => one.naturalWidth)"
    )
    assert len(widths) == 2 * 6 + 2 * 8 + 1
    assert min(widths) > 0
    assert browser.get_log("browser") == []
