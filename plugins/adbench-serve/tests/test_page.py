"""The page: images are scored in a browser, and nothing is asked of another server."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager

import pytest
from adbench_serve.app import make_app
from starlette.testclient import TestClient

QUIET = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


class Page:
    """The page in a browser."""

    def __init__(self, driver, port):
        self.driver, self.address = driver, f"http://127.0.0.1:{port}/"
        driver.get(self.address)

    def __getitem__(self, name):
        return self.driver.find_element("id", name)

    def wait(self, holds):
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, 20).until(lambda _: holds())

    def run(self, script, *values):
        return self.driver.execute_script(script, *values)

    def slide(self, name, value):
        self.run(
            "const slider = document.getElementById(arguments[0]);"
            "slider.value = arguments[1]; slider.dispatchEvent(new Event('input'))",
            name,
            value,
        )

    def press(self, key):
        self.driver.find_element("tag name", "body").send_keys(key)

    def count(self):
        return len(self.history())

    def history(self):
        """The verdicts on the images so far, the newest first."""
        return self.run("return [...document.querySelectorAll('#history .verdict')].map((one) => one.textContent)")

    def asked(self):
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]


@contextmanager
def browser(*arguments):
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install selenium")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("no chromium and chromedriver here: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in (*QUIET, *arguments):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    made = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield made
    finally:
        made.quit()


@pytest.fixture
def files(image, defect, tmp_path):
    """A normal image and a defective one."""
    (normal := tmp_path / "normal.png").write_bytes(image)
    (defective := tmp_path / "defect.png").write_bytes(defect)
    return normal, defective


@pytest.mark.slow
@pytest.mark.browser
def test_an_image_is_scored_on_the_page(running, detector, files):
    path = files[1]
    with running(make_app({"bolt": detector}, token="secret")) as port, browser() as driver:
        page = Page(driver, port)
        page["token"].send_keys("secret")
        page["file"].send_keys(str(path))
        page.wait(page["answer"].is_displayed)
        page.wait(lambda: page["heatmap"].get_property("naturalWidth") == 32)
        assert page["result"].text == "defective"
        assert float(page["score"].text) == pytest.approx(detector.predict(path).score, rel=1e-3)
        page.slide("opacity", 0.25)
        assert page["heatmap"].value_of_css_property("opacity") == "0.25"
        page.run(
            "const dataTransfer = new DataTransfer(); dataTransfer.items.add(new File(['no image'], 'none.png'));"
            "document.getElementById('drop').dispatchEvent(new DragEvent('drop', { dataTransfer }))"
        )
        page.wait(lambda: page["message"].text.startswith("none.png: "))
        asked = [url for url in page.asked() if not url.startswith(("data:", "blob:"))]
        assert asked
        assert all(url.startswith(page.address) for url in asked)
        errors = [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
        assert ["422" in error or "401" in error for error in errors] == [True, True]


@pytest.mark.slow
@pytest.mark.browser
def test_another_threshold_judges_all_images_again(running, detector, files):
    with running(make_app({"bolt": detector})) as port, browser() as driver:
        page = Page(driver, port)
        page["file"].send_keys("\n".join(map(str, files)))
        page.wait(lambda: page.count() == 2)
        assert page.history() == ["defective", "normal"]
        page.slide("slider", 1e9)
        assert page.history() == ["normal", "normal"]
        assert page["result"].text == "normal"
        assert "0 defective" in page["count"].text
        page.slide("slider", -1e9)
        assert page.history() == ["defective", "defective"]
        page["own"].click()
        assert page.history() == ["defective", "normal"]
        assert not page["own"].is_enabled()


@pytest.mark.slow
@pytest.mark.browser
def test_keys_move_between_images_and_hide_the_heatmap(running, detector, files):
    with running(make_app({"bolt": detector})) as port, browser() as driver:
        page = Page(driver, port)
        page["file"].send_keys("\n".join(map(str, files)))
        page.wait(lambda: page.count() == 2)
        assert page["name"].text == "defect.png"
        page.press("\ue014")  # the right arrow
        assert page["name"].text == "normal.png"
        page.press("h")
        assert page["heatmap"].value_of_css_property("opacity") == "0"
        page.press("\ue012")  # the left arrow
        assert page["name"].text == "defect.png"


@pytest.mark.slow
@pytest.mark.browser
def test_the_camera_takes_a_picture(running, detector):
    with running(make_app({"bolt": detector, "nut": detector})) as port, browser(*CAMERA) as driver:
        page = Page(driver, port)
        page.wait(page["detector"].is_displayed)
        page["detector"].find_elements("tag name", "option")[1].click()
        page["camera"].click()
        page.wait(lambda: page["video"].get_property("videoWidth") > 0)
        page["take"].click()
        page.wait(lambda: page.count() == 1)
        assert page["name"].text.startswith("camera-")
        assert any("detector=nut" in url for url in page.asked())
        page["camera"].click()
        page.wait(lambda: not page["video"].is_displayed())


@pytest.mark.slow
@pytest.mark.browser
def test_where_the_browser_refuses_the_camera_a_sentence_says_so(running, detector):
    with running(make_app({"bolt": detector})) as port, browser("--deny-permission-prompts") as driver:
        page = Page(driver, port)
        page.press("c")
        page.wait(lambda: page["message"].text.endswith("choose an image."))
        assert not page["video"].is_displayed()


@pytest.mark.slow
def test_the_page_allows_nothing_inline_and_nothing_from_elsewhere(detector):
    client = TestClient(make_app({"bolt": detector}, token="secret"))
    answer = client.get("/")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "<style" not in answer.text
    for name in ("", "page.css", "page.js", "history.js", "camera.js"):
        found = client.get(f"/{name}")
        assert found.status_code == 200
        assert "://" not in found.text
