"""The page: an image is scored in a browser, and nothing is asked of another server."""

from __future__ import annotations

import json
import shutil

import pytest
from adbench_serve.app import make_app
from starlette.testclient import TestClient


@pytest.fixture
def chromium():
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install selenium")
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("no chromium and chromedriver here: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    made = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield made
    made.quit()


def requests_of(browser):
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]


@pytest.mark.browser
def test_an_image_is_scored_on_the_page(chromium, running, detector, defect, tmp_path):
    from selenium.webdriver.support.ui import WebDriverWait

    (path := tmp_path / "defect.png").write_bytes(defect)
    one = lambda name: chromium.find_element("id", name)  # noqa: E731
    with running(make_app({"bolt": detector}, token="secret")) as port:
        chromium.get(f"http://127.0.0.1:{port}/")
        one("token").send_keys("secret")
        one("file").send_keys(str(path))
        WebDriverWait(chromium, 20).until(lambda _: one("answer").is_displayed())
        WebDriverWait(chromium, 20).until(lambda _: one("heatmap").get_property("naturalWidth") == 32)
        assert one("result").text == "defective"
        assert float(one("score").text) == pytest.approx(detector.predict(path).score, rel=1e-3)
        chromium.execute_script(
            "const slider = document.getElementById('opacity');"
            "slider.value = 0.25; slider.dispatchEvent(new Event('input'))"
        )
        assert one("heatmap").value_of_css_property("opacity") == "0.25"
        chromium.execute_script(
            "const dataTransfer = new DataTransfer(); dataTransfer.items.add(new File(['no image'], 'none.png'));"
            "document.getElementById('drop').dispatchEvent(new DragEvent('drop', { dataTransfer }))"
        )
        WebDriverWait(chromium, 20).until(lambda _: one("message").text.startswith("none.png: "))
        asked = [url for url in requests_of(chromium) if not url.startswith(("data:", "blob:"))]
    assert asked
    assert all(url.startswith(f"http://127.0.0.1:{port}/") for url in asked)
    [error] = [entry["message"] for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"]
    assert "422" in error


def test_the_page_allows_nothing_inline_and_nothing_from_elsewhere(detector):
    answer = TestClient(make_app({"bolt": detector}, token="secret")).get("/")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "<style" not in answer.text
    assert "://" not in answer.text
