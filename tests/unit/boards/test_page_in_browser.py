"""A board's page in a real browser, as a person uses it."""

from __future__ import annotations

import json
import re
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from adbench.boards.board import Board
from adbench.boards.page.asset_files import shared_assets
from adbench.boards.page.content import content
from adbench.boards.page.html import board_html, index_html
from adbench.boards.page.overall_page import overall_html
from adbench.boards.records.board_extras import BoardExtras
from adbench.boards.records.recipe_facts import RecipeFacts
from adbench.boards.statistics.overall import overall
from adbench.boards.tables.tidy import tidy
from adbench.engine.evaluate.details import Details
from adbench.engine.store.record import canonical_json
from adbench.reports import Table

pytestmark = [pytest.mark.slow, pytest.mark.browser]

EVIL = "<script>document.title='owned'</script>"
EVIL_ROW = f"{EVIL} (12ee8565)"
"""A name that no recipe can have is followed by its spec's hash."""
CATEGORIES = ("bottle", "cable", "screw")
PAPER = "https://arxiv.org/abs/2106.08265"
METRICS = ("image-auroc", "pixel-auroc")
LEVELS = {"alpha": 0.95, "beta": 0.85, "gamma": 0.75, EVIL: 0.65}
IMAGES = [("good", 0.2), ("good", 0.5), ("hole", 0.4), ("hole", 0.9), ("cut", 0.8)]


def records(make_record):
    made = [
        make_record(name, category, seed, auroc=level + 0.01 * seed, device="cpu" if name != "beta" else "gpu")
        for name, level in LEVELS.items()
        for category in CATEGORIES
        for seed in (0, 1)
    ]
    return made + [make_record("seer", category, auroc=0.99, test_set=True) for category in CATEGORIES]


def details_of(record):
    order = [0, 1, 2, 3, 4] if record.recipe.name == "alpha" else [2, 3, 0, 1, 4]
    images = [
        {"id": f"{record.task.category}/test/{kind}/{number}", "defect": kind, "score": IMAGES[place][1]}
        for number, ((kind, _), place) in enumerate(zip(IMAGES, order, strict=True))
    ]
    curve = [(0, 0), (0.2, 0.7), (1, 1)]
    points = [(float(number), float(number % 2)) for number in range(len(IMAGES))]
    found = Details(
        id=record.id,
        images=images,
        by_defect={"cut": {"image-auroc": 1.0}, "hole": {"image-auroc": 0.75}},
        curves={"roc": curve, "pro": [(x * 0.3, y) for x, y in curve]},
        embedding=points,
    )
    return canonical_json(found.to_json())


@pytest.fixture(params=[False, True], ids=["shared assets", "single file"])
def site(request, tmp_path, make_record):
    """A board's page, on disk; the page over all boards lies two folders above. Names need escapes in an address."""
    root, single_file = tmp_path / "a site, 100 % new", request.param
    board = Board(title="Demo board", dataset="demo", protocol={"train": "all"}, metrics=METRICS)
    found = records(make_record)
    detailed = [record for record in found if record.recipe.name in ("alpha", "beta") and record.task.seed == 0]
    extras = BoardExtras(details={record.id: details_of(record) for record in detailed})
    known = {"title": "Alpha", "paper": PAPER, "licence": "Apache-2.0", "parameters": 68_883_240}
    facts = RecipeFacts(recipe="alpha", card="cards/alpha.md", **known)
    shown = content(tidy(board, found), extras, {"alpha": facts})
    page = root / "demo" / "full-shot" / "index.html"
    page.parent.mkdir(parents=True)
    told = Table("Told", ("name", "figure"), (("b", "9.5 ± 0.1"), ("c", "—"), ("a", "10.0")))
    page.write_text(board_html(shown, [told], single_file=single_file), encoding="utf-8")
    over_all = index_html(["demo/full-shot"], [shown], single_file=single_file)
    (root / "index.html").write_text(over_all, encoding="utf-8")
    for asset in () if single_file else shared_assets():
        (root / "assets").mkdir(exist_ok=True)
        (root / "assets" / asset.name).write_text(asset.text, encoding="utf-8")
    return page


class Visit:
    """A page that is open, and what can be done on it."""

    def __init__(self, browser, page):
        self.browser = browser
        browser.get("about:blank")
        self.logs("browser"), self.logs("performance")
        self.open(page if isinstance(page, str) else page.as_uri())

    def open(self, address):
        """Open an address, and wait until a board's page is drawn or says what it lacks."""
        from selenium.webdriver.support.ui import WebDriverWait

        self.browser.get("about:blank")
        self.browser.get(address)
        WebDriverWait(self.browser, 10).until(
            lambda _: not self.all("#standings.waiting") or self.one(".without-assets").is_displayed()
        )

    def logs(self, kind):
        return self.browser.get_log(kind)

    def all(self, selector):
        return self.browser.find_elements("css selector", selector)

    def one(self, selector):
        return self.browser.find_element("css selector", selector)

    def scroll_to(self, selector):
        script = "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})"
        self.browser.execute_script(script, self.one(selector))

    def click(self, selector):
        self.scroll_to(selector)
        self.one(selector).click()

    def texts(self, selector):
        return [element.text for element in self.all(selector)]

    def names(self, group=0):
        return self.texts(f"#table-{group} tbody th")

    def choose(self, selector, value):
        self.browser.execute_script(
            "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('change', {bubbles: true}));"
            "arguments[0].dispatchEvent(new Event('input', {bubbles: true}))",
            self.one(selector),
            value,
        )

    def resize(self, width, height=844):
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def drawn(self, selector):
        """Whether a drawing appears: they are made when somebody comes near, and the browser knows their width."""
        from selenium.webdriver.support.ui import WebDriverWait

        self.scroll_to(selector)
        return WebDriverWait(self.browser, 10).until(lambda _: self.all(f"{selector} svg.plot"))


@pytest.fixture
def visit(chromium, site):
    page = Visit(chromium, site)
    page.resize(1280, 900)
    yield page
    assert [entry["message"] for entry in page.logs("browser")] == []
    events = [json.loads(entry["message"])["message"] for entry in page.logs("performance")]
    requests = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []


def test_methods_stand_in_groups_by_rank(visit):
    assert visit.names(0) == ["alpha", "beta", "gamma", EVIL_ROW]
    assert visit.names(1) == ["seer"]
    assert visit.texts("main h2")[:2] == [
        "Normal training images",
        "Normal training images, transductive (learned from the test images)",
    ]
    assert visit.texts("#table-0 tbody tr:first-child td") == ["1", "95.5 ± 0.7", "95.5 ± 0.7"]
    assert visit.drawn("#drawings-0")
    assert visit.all("#drawings-1 figure") == [], "one method alone is no trade-off"


def test_headings_are_repeated_on_each_printed_page(visit):
    """A printed page repeats the text of a heading, and not what is in a button."""
    visit.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        shown = "return getComputedStyle(document.querySelector('.standings thead button')).display"
        assert visit.browser.execute_script(shown) == "contents"
    finally:
        visit.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_what_nobody_comes_near_to_is_drawn_for_the_printer_only(visit):
    visit.resize(1280, 300)
    visit.open(visit.browser.current_url)
    assert not visit.all("#drawings-0 svg.plot")
    visit.browser.execute_cdp_cmd("Page.printToPDF", {})
    assert visit.all("#drawings-0 svg.plot")


def test_a_name_breaks_behind_what_joins_its_parts(visit):
    """At the width of a phone, no word of a name is torn."""
    inside = "return document.querySelector('#table-1 tbody th button').innerHTML"
    assert visit.browser.execute_script(inside) == "seer"
    row = "#table-0 tbody tr:nth-child(4) th button"
    written = visit.browser.execute_script("return document.querySelector(arguments[0]).innerHTML", row)
    assert written.endswith("(<wbr>12ee8565)")
    torn = visit.browser.execute_script(
        "return getComputedStyle(document.querySelector(arguments[0])).overflowWrap", row
    )
    assert torn == "break-word"


def test_a_method_s_name_is_text(visit):
    assert visit.browser.title == "Demo board · adbench"
    assert visit.names()[3] == EVIL_ROW
    assert not visit.all("#standings script")


def test_a_heading_sorts_and_says_so(visit):
    heading = "#table-0 thead th:nth-child(2)"
    assert visit.one("#table-0 thead th:nth-child(1)").get_attribute("aria-sort") == "ascending"
    visit.click(f"{heading} button")
    assert visit.names() == [EVIL_ROW, "alpha", "beta", "gamma"]
    assert visit.one(heading).get_attribute("aria-sort") == "ascending"
    visit.click(f"{heading} button")
    assert visit.names() == ["gamma", "beta", "alpha", EVIL_ROW]
    assert visit.one(heading).get_attribute("aria-sort") == "descending"
    visit.click("#table-0 thead th:nth-child(3) button")
    assert visit.names()[0] == "alpha"


def test_search_and_filters_leave_what_fits(visit):
    visit.one("#search").send_keys("ALP")
    assert visit.names() == ["alpha"]
    assert visit.one("#count").text == "1 of 5 methods"
    visit.one("#search").clear()
    visit.choose("#search", "")
    visit.choose("#device", "gpu")
    assert visit.names() == ["beta"]
    visit.choose("#device", "")
    assert len(visit.names()) == 4


def test_the_columns_show_metrics_categories_or_cost(visit):
    visit.click("#view input[value=categories]")
    assert [text.strip() for text in visit.texts("#table-0 thead th")][3:] == list(CATEGORIES)
    assert len(visit.all("#table-0 td.heat")) == 4 * len(CATEGORIES)
    visit.click("#view input[value=cost]")
    assert "bank MB" in visit.texts("#table-0 thead th")
    visit.choose("#metric", "1")
    assert visit.texts("#table-0 thead th.chosen") == ["pixel-auroc, %"]


def test_a_method_opens_with_everything_about_it(visit):
    visit.click("#table-0 tbody tr:first-child button")
    assert visit.one("dialog[open] h2").text == "alpha"
    assert visit.browser.execute_script("return location.hash").startswith("#")
    assert (
        visit.one("#command").text.splitlines()[-1].startswith("adbench run --recipe alpha.yaml --data demo --seed 0")
    )
    titles = visit.texts("dialog figcaption b")
    assert {"Image scores", "ROC of images", "False alarms", "Misses"} <= set(titles)
    assert len(visit.drawn("dialog")) >= 5
    assert visit.texts("dialog .gallery .image-id")[:1] == ["good/1"]
    visit.choose("dialog #category", "screw")
    assert "screw/test/good/1" in [e.get_attribute("title") for e in visit.all("dialog .image-id")]
    visit.click("dialog .actions button:last-child")
    assert not visit.all("dialog[open]")


def test_the_address_holds_filters_sort_and_view(visit):
    """What one person has set, another sees who opens the address."""
    visit.one("#search").send_keys("a")
    visit.choose("#metric", "1")
    visit.click("#view input[value=cost]")
    visit.click("#table-0 thead th:nth-child(2) button")
    address = visit.browser.current_url
    assert address.split("#")[1] == "metric=pixel-auroc&view=cost&sort=method&search=a"
    names, heads = visit.names(), visit.texts("#table-0 thead th")
    visit.open(address)
    assert (visit.names(), visit.texts("#table-0 thead th")) == (names, heads)
    assert visit.one("#search").get_attribute("value") == "a"


def test_an_address_with_nonsense_is_the_page_as_at_first(visit):
    names, page = visit.names(), visit.browser.current_url.split("#")[0]
    visit.open(f"{page}#metric=none&view=none&sort=none-down&device=none&method=none")
    assert visit.names() == names
    assert not visit.all("dialog[open]")


def test_a_heading_says_what_its_metric_measures(visit):
    titles = [button.get_attribute("title") for button in visit.all("#table-0 thead th button")]
    assert "50 is chance" in titles[2]


def test_rows_like_the_first_bear_a_letter(visit, site):
    """The letter follows the test that the page's data hold, and stands only beside ranks that were tested."""
    page = site.read_text(encoding="utf-8")
    tests = json.loads(re.search(r'"tests":({"first":"[^"]+","p":{[^}]*},"test":"[^"]+"})', page)[1])
    keys = re.findall(r'<option value="([^"]+)"', visit.one("#first").get_attribute("innerHTML"))
    assert tests["first"] == keys[0]
    tested = {**tests, "p": {keys[1]: 0.5, keys[2]: 0.01}, "test": "DeLong's test"}
    written = json.dumps(tests, separators=(",", ":"), sort_keys=True)
    site.write_text(page.replace(written, json.dumps(tested)), encoding="utf-8")
    visit.open(site.as_uri())
    rows = visit.all("#table-0 tbody tr")
    assert [bool(row.find_elements("css selector", ".alike")) for row in rows] == [True, True, False, False]
    assert "a: cannot be told apart from the first row (DeLong's test, " in visit.one("#standings .note").text
    visit.choose("#metric", "1")
    assert not visit.all("#table-0 .alike")


def test_rows_without_a_test_bear_no_letter(visit):
    """Where there are too few categories for a test, nothing says that it found no difference."""
    assert not visit.all("#table-0 .alike")
    said = "Test of the rows against the first: none, with fewer than 6 categories"
    assert visit.one("#standings .note").text.startswith(said)


def test_the_command_can_be_copied(visit):
    visit.click("#table-0 tbody tr:first-child button")
    visit.browser.execute_script(
        "navigator.clipboard.writeText = async (text) => { window.copied = text; }",
    )
    visit.click("dialog .copy button")
    assert visit.one("dialog .copy [role=status]").text == "Copied"
    assert visit.browser.execute_script("return window.copied").startswith("cat > alpha.yaml <<'END'\nrecipe: alpha\n")


def test_two_methods_side_by_side(visit):
    visit.click("#table-0 tbody tr:nth-child(2) button")
    visit.click("dialog .actions button:first-child")
    assert [visit.one(f"#{name}").get_attribute("value") != "" for name in ("first", "second")] == [True, True]
    assert visit.texts("#comparison thead th")[:3] == ["metric", "beta", "alpha"]
    first = visit.texts("#comparison tbody tr:first-child > *")[:3]
    assert first == ["image-auroc", "85.5 ± 0.7", "95.5 ± 0.7\n+10.0"]
    assert "different devices" in visit.one("#comparison").text
    assert len(visit.drawn("#comparison")) >= 4
    assert "hole/2" in visit.texts("#comparison .image-id")


def test_four_methods_side_by_side(visit):
    values = [option.get_attribute("value") for option in visit.all("#first option")]
    visit.choose("#third", values[2])
    visit.choose("#fourth", values[2])
    assert visit.texts("#comparison thead th")[:4] == ["metric", "alpha", "beta", "gamma"]
    visit.choose("#fourth", values[4])
    assert visit.texts("#comparison thead th")[:5] == ["metric", "alpha", "beta", "gamma", "seer"]
    assert "no ranking" in visit.one("#comparison .warning").text
    visit.choose("#second", values[0])
    visit.choose("#third", "")
    visit.choose("#fourth", "")
    assert visit.one("#comparison").text == "Choose at least two different methods."


def test_a_table_that_stands_below_is_sorted_by_its_numbers(visit):
    visit.browser.execute_script("document.querySelector('#compare').scrollIntoView({ behavior: 'instant' })")
    visit.drawn("#comparison")  # what appears above the table moves it
    column = ".told td:nth-child(2)"
    assert visit.texts(column) == ["9.5 ± 0.1", "—", "10.0"]
    visit.click(".told th:nth-child(2) button")
    assert visit.texts(column) == ["9.5 ± 0.1", "10.0", "—"]
    visit.click(".told th:nth-child(2) button")
    assert visit.texts(column) == ["10.0", "9.5 ± 0.1", "—"]
    assert visit.one(".told th:nth-child(2)").get_attribute("aria-sort") == "descending"
    visit.click(".told th:nth-child(1) button")
    assert visit.texts(".told td:nth-child(1)") == ["a", "b", "c"]


def test_a_recipe_leads_to_its_card_and_paper(visit):
    visit.click("#table-0 tbody tr:first-child button")
    assert visit.one("#source").text == "Alpha · paper (2021) · Apache-2.0 · backbone of 68.9 million parameters"
    links = [link.get_attribute("href") for link in visit.all("#source a")]
    assert links[0].endswith("/cards/alpha.md")
    assert links[1] == PAPER


def test_without_scripts_the_standings_can_be_read(visit, site):
    visit.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        visit.browser.get(site.as_uri())
        assert visit.texts("noscript td")[:3] == ["1", "alpha", "95.5 ± 0.7"]
        assert [visit.one(f"#{name}").is_displayed() for name in ("filters", "compare", "theme")] == [False] * 3
    finally:
        visit.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_methods_of_different_groups_are_compared_with_a_warning(visit):
    visit.choose("#second", visit.one("#second optgroup:nth-child(2) option").get_attribute("value"))
    assert "no ranking" in visit.one("#comparison .warning").text


def test_the_keyboard_reaches_everything(visit):
    from selenium.webdriver.common.keys import Keys

    focus = lambda: visit.browser.switch_to.active_element  # noqa: E731
    reached = []
    for _ in range(40):
        focus().send_keys(Keys.TAB)
        reached.append(focus().get_attribute("id") or focus().text)
        if reached[-1] == "alpha":
            break
    assert {"search", "metric", "device", "rank"} <= {text.strip(" ▲▼\n") for text in reached}
    focus().send_keys(Keys.ENTER)
    assert visit.one("dialog[open] h2").text == "alpha"
    focus().send_keys(Keys.ESCAPE)
    assert not visit.all("dialog[open]")
    assert focus().text == "alpha"


def test_sorting_keeps_the_focus(visit):
    from selenium.webdriver.common.keys import Keys

    visit.one("#table-0 thead th:nth-child(2) button").send_keys(Keys.ENTER)
    assert visit.browser.switch_to.active_element.text.startswith("method")


def test_an_address_opens_a_method(visit, site):
    key = visit.one("#first option:nth-child(1)").get_attribute("value")
    visit.open(f"{site.as_uri()}#{key}")
    assert visit.one("dialog[open] h2").text == "alpha"


@pytest.mark.parametrize("dialog", [False, True])
def test_a_phone_scrolls_up_and_down_only(visit, dialog):
    visit.resize(390)
    if dialog:
        visit.click("#table-0 tbody tr:first-child button")
        visit.drawn("dialog")
    box = "document.querySelector('dialog')" if dialog else "document.documentElement"
    wide, room = visit.browser.execute_script(f"const box = {box}; return [box.scrollWidth, box.clientWidth]")
    assert wide <= room


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read_in_both_themes(visit, theme):
    visit.click(f"#theme input[value={theme}]")
    contrasts = visit.browser.execute_script(
        """
        const channels = (css) => css.match(/[\\d.]+/g).slice(0, 3).map(Number);
        const light = (css) => channels(css)
          .map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4))
          .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
        const ground = (e) => {
          for (; e; e = e.parentElement) {
            const css = getComputedStyle(e).backgroundColor;
            if (css.startsWith("rgb(")) return css;
          }
          return getComputedStyle(document.body).backgroundColor;
        };
        return [...document.querySelectorAll("h1, p, th, td, label, button, a, li, select, .segments span")]
          .filter((e) => e.innerText && e.offsetParent)
          .map((e) => {
            const [a, b] = [light(getComputedStyle(e).color), light(ground(e))];
            return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.innerText.slice(0, 40)];
          });
        """
    )
    assert len(contrasts) > 30
    assert [text for contrast, text in contrasts if contrast < 4.5] == []


def test_the_page_over_all_boards_leads_to_them(chromium, site):
    page = Visit(chromium, site.parents[2] / "index.html")
    assert page.texts(".card td")[:3] == ["normal training images", "alpha", "95.5 ± 0.7"]
    page.click(".card a")
    assert page.one("h1").text == "Demo board"
    assert page.logs("browser") == []


def test_the_page_over_several_data_sets_fits_a_phone_and_a_desk(chromium, site, make_record):
    boards = []
    for dataset in ("demo", "<i>other"):
        board = Board(title=dataset, dataset=dataset, protocol={"train": "all"}, metrics=METRICS)
        found = [
            make_record(name, category, dataset=dataset, auroc=0.9 - 0.1 * place)
            for place, name in enumerate((EVIL, "beta", "gamma"))
            for category in CATEGORIES
        ]
        boards.append((f"{dataset}/full-shot", tidy(board, found)))
    folder = site.parents[2] / "overall"
    folder.mkdir()
    html = overall_html(overall(boards), single_file=not (site.parents[2] / "assets").exists())
    (folder / "index.html").write_text(html, encoding="utf-8")
    page = Visit(chromium, folder / "index.html")
    for width in (390, 1400):
        page.resize(width)
        wide, room = page.browser.execute_script(
            "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert wide <= room
        right = "getBoundingClientRect().right"
        dots = page.browser.execute_script(
            f"return [...document.querySelectorAll('.ranks circle')].map((each) => each.{right})"
        )
        assert len(dots) == 3
        assert max(dots) < page.browser.execute_script(f"return document.querySelector('.ranks').{right}")
    assert page.texts("tbody td.heat")[:2] == ["90.0 (1)", "90.0 (1)"]
    assert page.logs("browser") == []


shares_assets = pytest.mark.parametrize("site", [False], indirect=True, ids=["shared assets"])


@shares_assets
def test_a_web_server_may_serve_the_same_files(chromium, site):
    root = site.parents[2]
    handler = partial(type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None}), directory=str(root))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = Visit(chromium, f"http://127.0.0.1:{server.server_port}/demo/full-shot/index.html")
        assert page.names(0) == ["alpha", "beta", "gamma", EVIL_ROW]
        assert page.drawn("#drawings-0")
        assert not page.one(".without-assets").is_displayed()
        assert [entry["message"] for entry in page.logs("browser") if "favicon" not in entry["message"]] == []
        server.shutdown()


@shares_assets
def test_a_board_that_was_copied_alone_says_what_it_needs(chromium, site, tmp_path):
    alone = shutil.copytree(site.parent, tmp_path / "elsewhere" / "full-shot")
    page = Visit(chromium, alone / "index.html")
    assert page.one(".without-assets").is_displayed()
    assert "../../assets" in page.one(".without-assets").text
    assert "--single-file" in page.one(".without-assets").text
    shutil.copytree(site.parents[2] / "assets", tmp_path / "assets")
    page = Visit(chromium, alone / "index.html")
    assert page.names(0) == ["alpha", "beta", "gamma", EVIL_ROW]
    assert not page.one(".without-assets").is_displayed()


@shares_assets
@pytest.mark.parametrize(
    "injected",
    [
        "<script>document.title = 'owned'</script>",
        '<img src="data:," onerror="document.title = \'owned\'">',
        '<script src="data:text/javascript,document.title=`owned`"></script>',
        '<a href="javascript:document.title=`owned`" id="bait">x</a><style>body { display: none }</style>',
    ],
)
def test_the_policy_stops_what_would_get_past_the_escapes(chromium, site, injected):
    text = site.read_text(encoding="utf-8")
    site.write_text(text.replace("<header", f"{injected}<header", 1), encoding="utf-8")
    page = Visit(chromium, site)
    for bait in page.all("#bait"):
        bait.click()
    assert page.browser.title == "Demo board · adbench"
    assert page.names(0) == ["alpha", "beta", "gamma", EVIL_ROW]
    assert any("Content Security Policy" in entry["message"] for entry in page.logs("browser"))
