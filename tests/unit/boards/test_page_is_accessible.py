"""axe-core finds nothing on the shipped pages: in both themes, on a phone and on a desk, with a method open."""

from __future__ import annotations

import os
from itertools import product
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.browser]

ROOT = Path(__file__).parents[3]
PAGES = sorted((ROOT / "leaderboards").glob("**/index.html"))
FINDINGS = """
const done = arguments[arguments.length - 1];
axe.run(document, { resultTypes: ["violations"] }).then((found) =>
  done(found.violations.map((each) => `${each.id}: ${each.nodes[0].target.join(" ")}`)));
"""

COMPARED = """
const done = arguments[arguments.length - 1];
document.querySelector("#compare")?.scrollIntoView({ behavior: "instant" });
requestAnimationFrame(() => setTimeout(done, 100));
"""
"""Comes near to the comparison, which is made then."""

NUMBERS = """
const svg = [...document.querySelectorAll("svg")].find((each) => each.ariaLabel?.startsWith("Quality against"));
const texts = [...svg.querySelectorAll("text")].filter((each) => /^[0-9]/.test(each.textContent));
const bottom = svg.getBoundingClientRect().bottom;
return texts.filter((each) => each.getBoundingClientRect().top > bottom - 40).map((each) => each.textContent);
"""
"""The numbers of the lower axis."""

COVERED = """
const svg = [...document.querySelectorAll("svg")].find((each) => each.ariaLabel?.startsWith("Quality against"));
const box = (each) => each.getBoundingClientRect();
const meet = (a, b) => a.left < b.right && b.left < a.right && a.top + 3 < b.bottom && b.top < a.bottom - 3;
const points = [...svg.querySelectorAll("circle, path")].map(box).filter((b) => b.width > 4 && b.width < 14);
const names = [...svg.querySelectorAll("text")].filter((each) => each.closest("[stroke-width='4']"));
const hit = (name) => [...points, ...names.filter((other) => other !== name).map(box)].some((b) => meet(box(name), b));
return [points.length, names.length, names.filter(hit).map((name) => name.textContent)];
"""


@pytest.fixture(scope="module")
def axe():
    """The script of axe-core, which node finds in a folder of NODE_PATH or in the repository's own."""
    folders = [*filter(None, os.environ.get("NODE_PATH", "").split(os.pathsep)), ROOT / "node_modules"]
    found = [script for folder in folders if (script := Path(folder) / "axe-core" / "axe.min.js").is_file()]
    if not found:
        pytest.skip("axe-core is not installed: npm install --no-save axe-core")
    return found[0].read_text(encoding="utf-8")


def opened(browser, page, width, theme):
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(page.as_uri())
    browser.execute_script("document.querySelector(`#theme input[value=${arguments[0]}]`).click()", theme)
    browser.execute_script("window.dispatchEvent(new Event('beforeprint'))")  # draws what is below the window, too
    browser.execute_async_script(COMPARED)


def findings(browser, axe):
    browser.execute_script(axe)
    return browser.execute_async_script(FINDINGS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.relative_to(ROOT).as_posix())
def test_nothing_is_found(chromium, axe, page):
    for width, theme in product((390, 1400), ("light", "dark")):
        opened(chromium, page, width, theme)
        assert findings(chromium, axe) == [], (width, theme)
        room = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert chromium.execute_script(room) <= 0, (width, theme)
        if chromium.find_elements("css selector", ".standings tbody button"):
            chromium.execute_script("document.querySelector('.standings tbody button').click()")
            assert findings(chromium, axe) == [], (width, theme, "a method is open")


def test_axe_sees_a_fault(chromium, axe):
    """The check can fail: a picture without a text is found."""
    opened(chromium, PAGES[0], 1400, "light")
    chromium.execute_script("document.querySelector('main').append(document.createElement('img'))")
    assert any(each.startswith("image-alt") for each in findings(chromium, axe))


@pytest.mark.parametrize("width", [390, 1400])
def test_names_in_the_scatter_plot_cover_nothing(chromium, width):
    opened(chromium, ROOT / "leaderboards" / "mvtec-mini" / "full-shot" / "index.html", width, "light")
    points, names, covered = chromium.execute_script(COVERED)
    assert points > 20
    assert names > 1 or width < 400, "a phone has no room for names among so many points"
    assert covered == []


@pytest.mark.parametrize("width", [390, 1400])
def test_a_cost_axis_of_one_size_has_numbers(chromium, width):
    opened(chromium, ROOT / "leaderboards" / "mvtec-mini" / "contaminated" / "index.html", width, "light")
    assert len(chromium.execute_script(NUMBERS)) >= 2
