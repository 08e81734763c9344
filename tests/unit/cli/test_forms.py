"""The forms of what commands print."""

import csv
import io
import json
from itertools import pairwise

import click
import pytest
from click.testing import CliRunner

from adbench.cli import call, group
from adbench.cli.forms import form_options, print_facts, print_tables
from adbench.cli.text_table import Column, TextTable

TABLES = {
    "run": ("wide", "csv", "json"),
    "sweep": ("wide", "csv", "json"),
    "fuse": ("wide", "csv", "json"),
    "cache info": ("wide", "csv", "json"),
    "board show": ("wide", "csv", "json"),
    "board overall": ("wide", "csv", "json"),
    "plan": ("wide", "csv", "json"),
    "check": ("wide", "csv", "json"),
    "board verify": ("wide", "csv", "json"),
    "list": ("csv", "json"),
    "show": ("csv", "json"),
    "doctor": ("csv", "json"),
    "data list": ("csv", "json"),
    "bank show": ("csv", "json"),
    "evaluate": ("json",),
}
"""Commands that print tables, or facts and lists, which no window cuts."""


def table():
    made = TextTable("figures (in %)", [Column("category"), Column("image\nAUROC"), Column("note", words=True)])
    made.add("bolt", "99.9", "=HYPERLINK(1)")
    made.add("nut, large", "98.0", "")
    return made


@pytest.mark.parametrize("words", sorted(TABLES))
def test_each_command_offers_the_forms_that_it_has(words):
    command = group
    for word in words.split():
        command = command.get_command(click.Context(group), word)
    offered = {option for parameter in command.params if parameter.name == "form" for option in parameter.opts}
    assert offered == {f"--{form}" for form in TABLES[words]}


def test_csv_has_one_line_for_each_row_and_no_formula(capsys):
    print_tables([table()], "csv")
    header, *rows = csv.reader(io.StringIO(capsys.readouterr().out))
    assert header == ["category", "image AUROC", "note"]
    assert [row[:2] for row in rows] == [["bolt", "99.9"], ["nut, large", "98.0"]]
    assert not rows[0][2].startswith("=")


def test_wide_is_one_table_of_any_width(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    print_tables([table()], "wide")
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["figures (in %)", "category    image AUROC  note"]


def test_the_last_form_counts():
    @click.command()
    @form_options("csv", "json", csv="in other words")
    def command(form):
        click.echo(form)

    run = CliRunner().invoke
    assert run(command, []).output == "\n"
    assert run(command, ["--csv", "--json"]).output == "json\n"
    assert run(command, ["--wide"]).exit_code == 2
    assert "in other words" in run(command, ["--help"]).output


@pytest.mark.parametrize("arguments", [["list", "scorer"], ["show", "knn"], ["data", "list"], ["doctor"]])
def test_csv_is_as_wide_in_every_row(arguments, capsys, cache):
    assert call([*arguments, "--csv"]) == 0
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) > 3
    assert all(len(one) == len(other) for one, other in pairwise(rows))


PLAN = ["plan", "--recipe", "patchcore-lite", "--data", "demo", "--out", "no-runs"]


def test_a_plan_has_a_row_for_each_unit(capsys):
    assert call([*PLAN, "--csv"]) == 0
    shown = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(shown.out)))
    assert [row["category"] for row in rows] == ["brick", "grass", "gravel"]
    assert {row["state"] for row in rows} == {"to run"}
    assert "3 units in 3 branches" in shown.err


def test_a_plan_as_json_has_what_cannot_run_too(capsys):
    parts = ["--all", "--backbone", "resnet18", "--bank", "full", "--scorer", "knn", "--scorer", "mahalanobis"]
    assert call(["plan", *parts, "--data", "demo", "--category", "brick", "--json", "--out", "no-runs"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert [(unit["scorer"], unit["state"]) for unit in plan["units"]] == [("knn + max", "to run")]
    (cannot,) = plan["cannot_run"]
    assert "mahalanobis" in cannot["reasons"][0]
    assert plan["units_of_unknown_time"] == 1


def test_rules_of_a_plugin_are_rows(capsys):
    assert call(["check", "adbench-onnx", "--metadata", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["plugin"] == "adbench-onnx"
    assert [set(row) for row in shown["rows"]] == [{"component", "rule", "result"}] * len(shown["rows"])
    assert {"not here"} <= {row["result"] for row in shown["rows"]}
    assert call(["check", "adbench-onnx", "--metadata", "--csv"]) == 0
    header, *rows = csv.reader(io.StringIO(capsys.readouterr().out))
    assert header == ["component", "rule", "result"]
    assert len(rows) == len(shown["rows"])


def test_an_empty_cache_is_an_empty_list(capsys, cache):
    assert call(["cache", "info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_facts_of_several_lines_stand_below_their_name(capsys):
    print_facts({"method": "PatchCore", "parts": "backbone timm\nscorer knn", "options": {"k": "3"}, "none": {}})
    assert capsys.readouterr().out.splitlines() == [
        "method: PatchCore",
        "parts:",
        "  backbone timm",
        "  scorer knn",
        "options:",
        "  k: 3",
        "none: {}",
    ]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["run", "--shot", "4"], "Did you mean '--shots'?"),
        (["run", "--recipes", "padim"], "Did you mean '--recipe'?"),
        (["run", "--limit", "4"], "Did you mean '--limit-test'?"),
        (["plan", "--batch", "4"], "Did you mean '--batch-size'?"),
        (["run", "--epochs", "4"], ""),
        (["list", "--full"], ""),
    ],
)
def test_a_misspelt_option_names_the_one_that_was_meant_alone(words, hint, capsys):
    assert call(words) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("Error: No such option")
    assert last.partition(". ")[2] == hint
