from __future__ import annotations

import base64
import hashlib
import html
import json
import random
import re
import shlex
import subprocess
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from adbench.boards.board import Board, BoardProtocol
from adbench.boards.page import content as content_module
from adbench.boards.page.asset_files import BOARD_SCRIPTS, LIBRARIES, is_asset_name, read, shared_assets, style_sheet
from adbench.boards.page.command import command_line, file_name, recipe_lines
from adbench.boards.page.content import content
from adbench.boards.page.detail import Pool
from adbench.boards.page.html import board_html, embedded, index_html
from adbench.boards.records.board_extras import BoardExtras
from adbench.boards.tables.costs import costs_of
from adbench.boards.tables.figures import Figure
from adbench.boards.tables.table import ranks_of, standings_tables
from adbench.boards.tables.tidy import tidy
from adbench.engine.evaluate.details import Details
from adbench.engine.plan.recipe import Recipe
from adbench.engine.store.record import canonical_json

EVIL = '<script>alert("1")</script>&\u2028'


def board(**changes):
    fields = {
        "title": "Demo",
        "dataset": "demo",
        "protocol": {"train": "all"},
        "metrics": ("image-auroc", "pixel-auroc"),
    }
    return Board.model_validate({**fields, "rank_by": "image-auroc", **changes})


def details(record, scores=(0.1, 0.2, 0.9), **changes):
    defects = ["good", "good", "hole"]
    images = [
        {"id": f"a/test/{d}/{i}", "defect": d, "score": s} for i, (d, s) in enumerate(zip(defects, scores, strict=True))
    ]
    fields = {
        "id": record.id,
        "images": images,
        "by_defect": {"hole": {"image-auroc": 0.987, "pixel-auroc": None}},
        "curves": {"roc": [(0, 0), (0, 0.5), (0.0001, 0.5), (1, 1)], "pro": []},
        "embedding": [(0.0, -5.0), (10.0, 5.0), (2.5, 0.0)],
        **changes,
    }
    return Details.model_validate(fields)


def annex_of(*found):
    return BoardExtras(details={each.id: canonical_json(each.to_json()) for each in found})


def payload(page):
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(text)


def records(make_record):
    levels = {"x": 0.9, "y": 0.8, "z": 0.8}
    return [
        make_record(name, category=category, seed=seed, auroc=level)
        for name, level in levels.items()
        for category in ("a", "b")
        for seed in (0, 1)
    ]


# What the page says


def test_ranks_and_figures_are_those_of_the_tables(make_record):
    shown = content(tidy(board(), records(make_record)), BoardExtras())
    (table,) = standings_tables(tidy(board(), records(make_record)))
    rank = {row[1]: row[0].rstrip("=") for row in table.rows}
    figures = {row[1]: row[2] for row in table.rows}
    for method in shown["methods"]:
        assert str(method["ranks"][0]) == rank[method["label"]]
        assert " ± ".join(f"{value:.1f}" for value in method["figures"][0]) == figures[method["label"]]
    assert [method["by"][0] for method in shown["methods"]] == [[90.0, 90.0], [80.0, 80.0], [80.0, 80.0]]


def test_what_is_missing_has_its_mark_and_no_rank(make_record):
    found = [
        *records(make_record),
        make_record("part", category="a"),
        make_record("part", category="b", status="failed"),
    ]
    part = next(
        method for method in content(tidy(board(), found), BoardExtras())["methods"] if method["label"] == "part"
    )
    assert part["figures"][0] == "— 1/4"
    assert part["by"][0] == ["— 1/2", "— 0/2"]
    assert part["ranks"] == (None, None)
    assert any("broke its contract" in note for note in part["notes"])


def test_methods_of_different_regimes_are_ranked_apart(make_record):
    found = [make_record("x", auroc=0.5), make_record("y", auroc=0.9, test_set=True), make_record("z", auroc=0.7)]
    shown = content(tidy(board(), found), BoardExtras())
    assert [(m["label"], m["group"], m["ranks"][0]) for m in shown["methods"]] == [
        ("z", 0, 1),
        ("x", 0, 2),
        ("y", 1, 1),
    ]
    assert [group["name"] for group in shown["groups"]] == [
        "normal training images",
        "normal training images, transductive (learned from the test images)",
    ]
    assert len({group["fingerprint"] for group in shown["groups"]}) == 2


def test_ties_share_a_place():
    figures = [Figure(0.90004), Figure(0.8), Figure(0.9), Figure(None), Figure(0.7)]
    assert ranks_of(figures) == [1, 3, 1, None, 4]


def test_the_order_of_records_does_not_matter(make_record):
    found = records(make_record)
    extras = annex_of(details(found[0]))
    first = board_html(content(tidy(board(), found), extras))
    for seed in range(3):
        mixed = random.Random(seed).sample(found, len(found))
        assert board_html(content(tidy(board(), mixed), extras)) == first


def test_times_of_different_devices_are_never_mixed(make_record):
    alike = [make_record(category=name, device="gpu") for name in "ab"]
    mixed = [make_record("other", category=name, device=name) for name in "ab"]
    one, other = costs_of(tidy(board(), [*alike, *mixed])).values()
    assert (one["p50"], one["speed"], one["devices"]) == (10.0, pytest.approx(10 / 3), ("gpu",))
    assert [other[name] for name in ("p50", "p95", "speed", "fit")] == [None] * 4
    assert (other["devices"], other["memory"], other["bank"]) == (("a", "b"), 800.0, 4.0)


def test_a_method_that_only_failed_has_no_cost(make_record):
    (costs,) = costs_of(tidy(board(), [make_record(status="failed")])).values()
    assert set(costs.values()) == {None, ()}


def test_critical_differences_need_three_methods_and_categories(make_record):
    found = [make_record(name, category=c, auroc=0.5 + 0.1 * i) for i, name in enumerate("xyz") for c in "abc"]
    ranking = content(tidy(board(), found), BoardExtras())["groups"][0]["rankings"][0]
    keys = {method["label"]: method["key"] for method in content(tidy(board(), found), BoardExtras())["methods"]}
    assert ranking["ranks"] == {keys["z"]: 1.0, keys["y"]: 2.0, keys["x"]: 3.0}
    assert content(tidy(board(), found[:6]), BoardExtras())["groups"][0]["rankings"] == [None, None]


# Single images


def test_details_are_of_the_first_seed_that_has_any(make_record):
    found = [make_record(seed=seed) for seed in (0, 1, 2)]
    shown = content(tidy(board(), found), annex_of(details(found[2]), details(found[1])))
    (method,) = shown["methods"]
    unit = method["details"]["bottle"]
    assert (unit["seed"], unit["scores"]) == (1, [0.1, 0.2, 0.9])
    assert unit["defects"] == {"hole": [98.7, None]}
    assert unit["roc"] == [[0, 0, 1000], [0, 500, 1000]]
    assert shown["shared"]["tests"][unit["test"]]["defects"] == ["good", "good", "hole"]
    assert shown["shared"]["points"][unit["points"]] == [[0, 999, 250], [0, 999, 500]]


def test_methods_share_what_is_the_same(make_record):
    found = [make_record("x"), make_record("y", k=2)]
    shown = content(tidy(board(), found), annex_of(*map(details, found)))
    assert [m["details"]["bottle"]["test"] for m in shown["methods"]] == [0, 0]
    assert len(shown["shared"]["tests"]) == len(shown["shared"]["points"]) == 1
    assert shown["notes"] == []


def test_the_best_have_details_while_there_is_room(make_record, monkeypatch):
    found = [make_record(name, auroc=auroc) for name, auroc in (("x", 0.7), ("y", 0.9), ("z", 0.8))]
    alone = content(tidy(board(), found[:1]), annex_of(details(found[0])))
    common = [alone["shared"]["tests"][0], alone["shared"]["points"][0]]
    room = 2 * len(canonical_json(alone["methods"][0]["details"])) + sum(len(canonical_json(each)) for each in common)
    monkeypatch.setattr(content_module, "ROOM", room + 10)
    shown = content(tidy(board(), found), annex_of(*map(details, found)))
    assert [(m["label"], "details" in m) for m in shown["methods"]] == [("y", True), ("z", True), ("x", False)]
    assert shown["notes"] == ["Single images are shown of 2 of 3 methods: those that have details, the best first."]


def test_intervals_are_shown_where_the_record_has_them(make_record):
    record = make_record()
    info = record.metrics["image-auroc"].model_copy(update={"interval": (0.8, 0.95)})
    record = record.model_copy(update={"metrics": {**record.metrics, "image-auroc": info}})
    (method,) = content(tidy(board(), [record]), annex_of(details(record)))["methods"]
    assert method["details"]["bottle"]["intervals"] == [[80.0, 95.0], None]


def test_means_have_their_intervals(make_record):
    record = make_record()
    info = record.metrics["image-auroc"].model_copy(update={"interval": (0.8, 0.95)})
    record = record.model_copy(update={"metrics": {**record.metrics, "image-auroc": info}})
    (method,) = content(tidy(board(categories=["bottle"], metrics=["image-auroc"]), [record]), BoardExtras())["methods"]
    assert method["intervals"] == [[80.0, 95.0]]
    (without,) = content(tidy(board(), [make_record()]), BoardExtras())["methods"]
    assert set(map(str, without["intervals"])) == {"None"}


def test_a_page_says_how_many_test_images_there_are(make_record):
    made = [make_record("x", category) for category in ("bottle", "cable")]
    shown = content(tidy(board(), made), BoardExtras())
    assert shown["board"]["test"] == sum(record.task.test for record in made)
    assert f"Test images <b>{shown['board']['test']}</b>" in board_html(shown)
    assert content(tidy(board(), []), BoardExtras())["board"]["test"] is None


def test_the_tooltips_know_the_metrics_of_the_shipped_boards():
    script = read("assets", "data.js").split("const MEANINGS")[1].split("};")[0]
    shipped = {
        metric
        for path in Path(__file__).parents[3].glob("leaderboards/*/*/board.yaml")
        for metric in yaml.safe_load(path.read_text(encoding="utf-8"))["metrics"]
    }
    assert shipped - set(re.findall(r'^  "([\w-]+)":', script, re.MULTILINE)) == set()


def test_a_page_has_a_description_and_an_icon(make_record):
    page = board_html(content(tidy(board(title='Two "parts" <b>'), [make_record()]), BoardExtras()))
    assert page.count('content="Two &#34;parts&#34; &lt;b&gt;: 1 method of') == 2
    assert '<link rel="icon" href="data:image/svg+xml,%3Csvg' in page


def test_the_index_has_real_boards_first_and_empty_ones_last(make_record):
    full = content(
        tidy(
            board(dataset="real"),
            [make_record().model_copy(update={"task": make_record().task.model_copy(update={"dataset": "real"})})],
        ),
        BoardExtras(),
    )
    demo = content(tidy(board(dataset="demo"), [make_record()]), BoardExtras())
    empty = content(tidy(board(dataset="real"), []), BoardExtras())
    page = index_html(["a/empty", "b/demo", "c/real"], [empty, demo, full])
    assert re.findall(r'href="(./\w+)/index.html"', page) == ["c/real", "b/demo", "a/empty"]


def test_a_pool_holds_a_value_once_and_knows_its_size():
    pool = Pool()
    assert [pool.place(value) for value in ("a", [1], "a", [1])] == [0, 1, 0, 1]
    assert (pool.values, pool.size) == (["a", [1]], 6)


# The file


@pytest.mark.parametrize("single_file", [False, True])
def test_strangers_text_is_text(make_record, single_file):
    found = [make_record(EVIL, category=EVIL, device=EVIL), make_record("y", category=EVIL)]
    page = board_html(content(tidy(board(title=EVIL), found), BoardExtras()), single_file=single_file)
    assert "<script>alert" not in page
    assert "\\u003cscript\\u003ealert" in page
    assert any(method["label"].startswith("<script>alert") for method in payload(page)["methods"])
    assert "\u2028" not in page
    assert "&lt;script&gt;alert" in page
    assert page.count("<script") == page.count("</script") == 4


def rules_of(page):
    (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', page)
    assert "unsafe" not in policy
    return dict(rule.strip().split(" ", 1) for rule in html.unescape(policy).split(";"))


def test_nothing_inside_a_page_with_shared_assets_may_run(make_record):
    shown = content(tidy(board(), records(make_record)), BoardExtras())
    for page in (board_html(shown), index_html(["demo/full-shot"], [shown])):
        rules = rules_of(page)
        assert rules["default-src"] == "'none'"
        assert rules["script-src"] == "'self' file:"
        assert re.fullmatch(r"'self' file: 'sha256-[^']+'", rules["style-src"])
        assert rules["img-src"] == "data: 'self' file:"
        assert "<style" not in page
        for attributes, text in re.findall(r"<script([^>]*)>(.*?)</script>", page, re.DOTALL):
            assert attributes.startswith(' type="application/json"') or not text


def test_a_page_links_to_shared_assets_where_they_lie(make_record):
    shown = content(tidy(board(), records(make_record)), BoardExtras())
    pages = {"../../assets/": board_html(shown), "assets/": index_html(["demo/full-shot"], [shown])}
    names = {asset.name for asset in shared_assets()}
    linked = set()
    for folder, page in pages.items():
        links = re.findall(r'<(?:script|link rel="stylesheet") (?:src|href)="([^"]+)"(?: defer)?>', page)
        assert all(link.startswith(folder) for link in links)
        linked |= {link.removeprefix(folder) for link in links}
    assert linked == names
    assert all(map(is_asset_name, names))


def test_an_asset_s_name_follows_its_text():
    style = style_sheet()
    other = replace(style, text=style.text + "\n")
    assert style.name != other.name
    assert is_asset_name(other.name)
    assert not any(map(is_asset_name, ("page.css", "mine-0123abcd.js", "page-0123abcd.css.bak", "PAGE-0123abcd.css")))


def test_nothing_but_the_package_s_own_scripts_may_run_in_a_single_file(make_record):
    page = board_html(content(tidy(board(), records(make_record)), BoardExtras()), single_file=True)
    rules = rules_of(page)
    sources = lambda kind: re.findall(r"'sha256-([^']+)'", rules[kind])  # noqa: E731
    digest = lambda text: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()  # noqa: E731
    assert [digest(script) for script in re.findall(r"<script>(.*?)</script>", page, re.DOTALL)] == sources(
        "script-src"
    )
    assert digest(re.findall(r"<style>(.*?)</style>", page, re.DOTALL)[0]) == sources("style-src")[0]
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"


@pytest.mark.parametrize("single_file", [False, True])
def test_a_page_asks_nobody_for_anything(make_record, single_file):
    page = board_html(content(tidy(board(), records(make_record)), BoardExtras()), single_file=single_file)
    markup = re.sub(r"<script.*?</script>|<style>.*?</style>", "", page, flags=re.DOTALL)
    assert not re.search(r'(?:src|href)="(?:[a-z]+:)?//', markup)
    assert not re.search(r"<(?:iframe|object|embed|base)\b", markup)
    assert markup.count("<link") == (1 if single_file else 2)  # the icon, and the style sheet
    assert not any("@import" in text for text in (page, style_sheet().text))
    assert len(page.encode()) < (3e6 if single_file else 5e4)


def test_embedded_json_is_the_same_json():
    value = {"text": "</script><!--&\u2028\u2029é", "list": [1, {"a": None}], "empty": []}
    text = str(embedded(value))
    assert json.loads(text) == value
    assert not set("<>&\u2028\u2029") & set(text)


def test_the_libraries_are_those_that_the_readme_names():
    vendor = files("adbench.boards.page") / "vendor"
    readme = (vendor / "README.md").read_text(encoding="utf-8")
    for name, licence in LIBRARIES.items():
        assert f"`{hashlib.sha256((vendor / name).read_bytes()).hexdigest()}`" in readme
        assert "Permission to use, copy, modify" in (vendor / licence).read_text(encoding="utf-8")


def test_the_library_has_all_that_the_scripts_use():
    package = files("adbench.boards.page")
    library = (package / "vendor" / "plot.min.js").read_text(encoding="utf-8")
    scripts = "".join((package / "assets" / f"{name}.js").read_text(encoding="utf-8") for name in BOARD_SCRIPTS)
    used = set(re.findall(r"\b(?:d3|Plot)\s*\.\s*(\w+)", scripts))
    assert {"dot", "extent", "create"} <= used
    assert {name for name in used if not re.search(rf"\b{name}:\(\)=>", library)} == set()


def test_the_index_names_the_best_of_each_group(make_record):
    found = [make_record("x", auroc=0.5), make_record(EVIL, auroc=0.9, test_set=True)]
    page = index_html(["demo/full shot"], [content(tidy(board(title=EVIL), found), BoardExtras())])
    assert 'href="demo/full%20shot/index.html"' in page
    assert '<td>normal training images</td><td>x</td><td class="number">50.0</td>' in page
    assert "<script>alert" not in page
    assert "2 methods, 2 records" in page


def test_an_empty_board_has_a_page():
    assert payload(board_html(content(tidy(board(), []), BoardExtras())))["methods"] == []


# The command


def test_a_recipe_s_lines_are_a_recipe(make_record):
    spec = {
        "preprocess": [{"name": "resize", "options": {"size": [8, 8]}, "version": 1}],
        "backbone": [{"name": "onnx", "options": {"path": {"file": "net.onnx", "sha256": "0" * 64}}, "version": 1}],
        "neck": [],
        "masker": [],
        "bank": [{"name": "full", "options": {}, "version": 2}],
        "scorer": [{"name": "knn", "options": {"k": 3, "note": "é: #"}, "version": 1}],
        "aggregate": [{"name": "max", "options": {}, "version": 1}],
        "map": {"at": "input", "border": "symmetric", "sigma": 4.0, "upsample": "bilinear"},
        "features": "float16",
        "tuned_on": ["demo"],
    }
    record = make_record("net+knn")
    record = record.model_copy(update={"recipe": record.recipe.model_copy(update={"spec": spec})})
    recipe = Recipe.model_validate(yaml.safe_load("\n".join(recipe_lines(record))))
    assert recipe.name == "net+knn"
    assert (recipe.backbone.options, recipe.scorer.options) == ({"path": "net.onnx"}, {"k": 3, "note": "é: #"})
    assert (recipe.neck, recipe.masker, recipe.features, recipe.tuned_on) == ((), None, "float16", ("demo",))


@pytest.mark.parametrize("spec", [{"backbone": "x"}, {"backbone": [{"options": {"a": 1}}]}, {"bank": [7]}])
def test_what_is_no_recipe_has_no_lines(make_record, spec):
    record = make_record()
    assert recipe_lines(record.model_copy(update={"recipe": record.recipe.model_copy(update={"spec": spec})})) == []


def test_the_command_gives_the_board_s_rules():
    rules = {"shots": 4, "limit_test": 20, "evaluation": "256", "allow": ("train", "test"), "class_names": True}
    words = shlex.split(command_line("r.yaml", "my data", BoardProtocol(**rules), (0, 2)))
    assert words == [
        *("adbench", "run", "--recipe", "r.yaml", "--data", "my data", "--shots", "4", "--limit-test", "20"),
        *("--evaluation", "256", "--allow", "test", "--allow", "class-names", "--seed", "0", "--seed", "2"),
    ]


@pytest.mark.parametrize(
    "evil", ["$(touch pwned)", "`touch pwned`", "'; touch pwned; '", "x\nEND\ntouch pwned\n", "\x1b]0;"]
)
def test_what_is_copied_into_a_shell_runs_nothing_else(make_record, tmp_path, evil):
    record = make_record(evil, backbone=evil, dataset=evil)
    lines = recipe_lines(record)
    command = command_line(file_name(record), evil, BoardProtocol(train="all"), (0,))
    script = "\n".join([f"cat > {file_name(record)} <<'END'", *lines, "END", command])
    assert script.isascii() or evil.isascii()
    assert "\x1b" not in script
    stub = 'adbench() { printf "%s\\n" "$#" > ran; }\n'
    subprocess.run(["bash", "-c", stub + script], cwd=tmp_path, check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["ran", file_name(record)])
    assert (tmp_path / "ran").read_text() == "7\n"
