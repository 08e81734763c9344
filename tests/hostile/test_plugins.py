"""Plugins that are wrong in ways in which authors get them wrong first: adbench stays usable, one line says what to do.

Each is installed beside adbench. `adbench list` and a run of other parts go on, and tell the cause once on standard
error; `adbench check` fails with the cause; a run of the faulty part itself ends with a line, not with a traceback.
"""

from __future__ import annotations

import sys

import pytest

from adbench.cli import call
from adbench.registration.registry import installed

GOOD = '''
from adbench import Field, Scorer, Scores, VectorBank, hookimpl


class Mine(Scorer):
    """Distance to the nearest normal patch."""

    name = "mine"
    bank = VectorBank
    needs = frozenset({"patches"})

    class Config(Scorer.Config):
        k: int = Field(1, ge=1, description="which neighbour counts")

    @classmethod
    def defaults(cls, config):
        return {"bank": "toy-vectors", "aggregate": "max"}

    def score(self, query, bank):
        rows = query.patches.flatten(0, 2)
        distances, _ = bank.search(rows, self.config.k)
        return Scores(patches=distances[:, -1].reshape(query.patches.shape[:3]))


@hookimpl
def register_components(register):
    register(Mine)
'''
CONFIG = GOOD[GOOD.index("    class Config") : GOOD.index("    @classmethod")]
SCORE = GOOD[GOOD.index("    def score") : GOOD.index("@hookimpl")]
HOOK = GOOD[GOOD.index("@hookimpl\n") :]
BODY = GOOD[: GOOD.index("@hookimpl\n")]


def but(old, new, text=GOOD):
    assert old in text
    return text.replace(old, new)


OUT = {  # the whole plugin is left out
    "a misspelt hook": (
        but("def register_components", "def register_component"),
        "did you mean 'register_components'?",
    ),
    "a hook without its mark": (but("@hookimpl\n", ""), "put @hookimpl (from adbench) above it"),
    "a misspelt hook without its mark": (
        BODY + "def register_component(register):\n    register(Mine)\n",
        "put @hookimpl (from adbench) above it and call it 'register_components'",
    ),
    "another project's mark": (
        but("import Field, Scorer, Scores, VectorBank, hookimpl", "import Field, Scorer, Scores, VectorBank").replace(
            "\nfrom", "\nimport pluggy\n\nhookimpl = pluggy.HookimplMarker('pytest')\nfrom", 1
        ),
        "function 'register_components' is no hook; put @hookimpl (from adbench) above it",
    ),
    "an argument that the hook has not": (
        but("(register):\n    register(Mine)", "(registry):\n    registry(Mine)"),
        "hook 'register_components' has no argument 'registry'; it has register",
    ),
    "a list returned": (
        but("    register(Mine)", "    return [Mine]"),
        "register_components returns list; call register(",
    ),
    "a generator": (but("    register(Mine)", "    yield Mine"), "register_components is never run"),
    "a coroutine": (
        but("def register_components", "async def register_components"),
        "register_components is never run",
    ),
    "no hook at all": (BODY, "has no hook; mark its register_components function with @hookimpl"),
    "an object registered": (but("register(Mine)", "register(Mine())"), "write register(Mine)"),
    "a name registered": (
        but("register(Mine)", "register('mine')"),
        "registers 'mine', which is no component; derive it from",
    ),
    "a class of its own": (but("class Mine(Scorer)", "class Mine"), "NameError|no component; derive it from"),
    "no contract": (
        but("class Mine(Scorer)", "class Mine(Component)").replace("import Field", "import Component, Field"),
        "derives from no contract; choose one of Backbone, Bank, Scorer",
    ),
    "no name": (but('    name = "mine"\n', ""), "no component with a name; write name = 'mine' in the class"),
    "a name with blanks": (but('"mine"', '"My Scorer"'), "lower case words joined by '-'; write name = 'my-scorer'"),
    "a name of a number": (but('"mine"', "3"), "scorer name 3 must be lower case words joined by '-'"),
    "a kind of its own": (but('"mine"\n', '"mine"\n    kind = "scorers"\n'), "changes kind to 'scorers'; leave it out"),
    "the name of another's": (
        but('"mine"', '"toy-nearest"'),
        "scorer 'toy-nearest' is registered by both 'adbench-core' and 'dist-hostile'; give Mine a name of its own",
    ),
    "an inherited name": (
        but("class Mine(Scorer)", "class Mine(ToyNearest)", but('    name = "mine"\n', "", but(CONFIG, ""))).replace(
            "\n\nclass", "\nfrom adbench.builtin.toy import ToyNearest\n\nclass", 1
        ),
        "because Mine inherits its name from ToyNearest; give Mine a name of its own, such as name = 'mine'",
    ),
    "one name twice": (
        but("register(Mine)", "register(Mine)\n    register(type('Other', (Mine,), {}))"),
        "Mine and Other both have the scorer name 'mine'",
    ),
    "an import that is missing": (
        "import a_package_that_is_nowhere\n" + GOOD,
        "No module named 'a_package_that_is_nowhere'",
    ),
    "a misspelt import": (but("import Field", "import Scorrer, Field"), "did you mean 'Scorer'?"),
    "a syntax error": (but("class Mine(Scorer):", "class Mine(Scorer)"), "SyntaxError: expected ':'"),
    "a hook that raises": (but("    register(Mine)", "    raise KeyError('no')"), "KeyError: 'no'"),
    "an exit": ("raise SystemExit('bye')\n", "SystemExit: bye"),
    "an option without a type": (but("k: int = Field", "k = Field"), "Field 'k' requires a type annotation"),
    "no recipe folder": (
        GOOD + "\n@hookimpl\ndef register_recipes(register):\n    register('nowhere')\n",
        "does not exist",
    ),
    "a recipe folder of None": (
        GOOD + "\n@hookimpl\ndef register_recipes(register):\n    register(None)\n",
        "give the path of a folder",
    ),
}

UNUSABLE = {  # the component is left out
    "no score": (but(SCORE, "    pass\n\n\n"), "scorer 'mine' cannot be used: it has no score(query, bank); write one"),
    "a misspelt score": (
        but("def score", "def scores"),
        "it has no score(query, bank); did you mean that by 'scores'?",
    ),
    "a score of another form": (
        but("def score(self, query, bank)", "def score(self, query)"),
        "its score(query) cannot be called as score(query, bank)",
    ),
    "an asynchronous score": (but("def score", "async def score"), "its 'score' is async"),
    "a score that is a property": (
        but("    def score(self, query, bank)", "    @property\n    def score(self)"),
        "'score' is a property",
    ),
    "a Config of nothing": (
        but("Config(Scorer.Config)", "Config"),
        "its Config does not extend Scorer.Config; write 'class Config(Scorer.Config):'",
    ),
    "a Config of pydantic's": (
        but("Config(Scorer.Config)", "Config(BaseModel)").replace(
            "\nfrom", "\nfrom pydantic import BaseModel\nfrom", 1
        ),
        "its Config does not extend Scorer.Config",
    ),
    "a Config of dataclasses'": (
        but("    class Config(Scorer.Config)", "    @dataclass\n    class Config").replace(
            "\nfrom", "\nfrom dataclasses import dataclass\nfrom", 1
        ),
        "its Config does not extend Scorer.Config",
    ),
    "a Config that is an object": (but(CONFIG, "    Config = {'k': 1}\n\n"), "its Config is an object, not a class"),
    "a config in small letters": (
        but("class Config", "class config"),
        "options are in a class named 'config'; name it 'Config'",
    ),
    "no bank": (but("    bank = VectorBank\n", ""), "it has no attribute 'bank'; write the kind of bank that it reads"),
    "a bank by name": (
        but("bank = VectorBank", "bank = 'full'"),
        "its attribute 'bank' is 'full'; it is the kind of bank",
    ),
    "needs as a text": (
        but('frozenset({"patches"})', '"patches"'),
        "its attribute 'needs' is 'patches'; it is a set of names",
    ),
    "needs as a list": (but('frozenset({"patches"})', '["patches"]'), "its attribute 'needs' is ['patches']"),
    "a version in letters": (
        but('"mine"\n', '"mine"\n    version = "1"\n'),
        "its attribute 'version' is '1'; it is a whole number",
    ),
}

UNMADE = {  # found when the component is made
    "no super().__init__": (
        but("    def score", "    def __init__(self, **options):\n        self.seen = 0\n\n    def score"),
        "it has no config: its __init__ does not call super().__init__(**options)",
    ),
    "super().__init__ too late": (
        but(
            "    def score",
            "    def __init__(self, **options):\n        self.k = self.config.k\n"
            "        super().__init__(**options)\n\n    def score",
        ),
        "it has no config: its __init__ does not call super().__init__(**options)",
    ),
    "an __init__ that wants more": (
        but(
            "    def score",
            "    def __init__(self, model, **options):\n        super().__init__(**options)\n\n    def score",
        ),
        "write 'def __init__(self, **options)'",
    ),
    "an __init__ that raises": (
        but("    def score", "    def __init__(self, **options):\n        raise OSError('no disk')\n\n    def score"),
        "it raised OSError: no disk",
    ),
    "an option of an unknown type": (but("k: int", "k: 'Tensor'"), "its Config cannot be built"),
    "an option of a type without a schema": (
        but("k: int = Field(1, ge=1, ", "k: Thing = Field(1, ").replace(
            "\n\nclass", "\n\nclass Thing:\n    pass\n\n\nclass", 1
        ),
        "its Config cannot be built",
    ),
    "gives that is a list": (
        but(
            "    def score",
            "    @classmethod\n    def gives(cls, config):\n        return ['patches']\n\n    def score",
        ),
        "its gives(config) returned ['patches']; return a set",
    ),
    "gives that raises": (
        but(
            "    def score",
            "    @classmethod\n    def gives(cls, config):\n        return config.size\n\n    def score",
        ),
        "its gives(config) raised AttributeError",
    ),
}

WRONG = {  # made, but of no use as it is
    "an unknown default": (
        but('"bank": "toy-vectors"', '"bank": "toy-vector"'),
        "names 'toy-vector' as its default for 'bank': unknown bank 'toy-vector'; did you mean",
    ),
    "a default for no slot": (
        but('"bank": "toy-vectors"', '"banks": "toy-vectors"'),
        "unknown slot 'banks' in the defaults of scorer 'mine'; did you mean 'bank'?",
    ),
    "an unknown option in a default": (
        but('"aggregate": "max"', '"aggregate": {"top-fraction": {"fractoin": 0.1}}'),
        "did you mean 'fraction'?",
    ),
    "several parts for one slot": (
        but('"bank": "toy-vectors"', '"bank": ["toy-vectors"]'),
        "as its default for 'bank'",
    ),
    "defaults that are a list": (
        but('return {"bank": "toy-vectors", "aggregate": "max"}', 'return ["toy-vectors"]'),
        "its defaults() returned list, not a mapping",
    ),
    "defaults that raise": (
        but('return {"bank"', 'return {"bank": config.bank, "other"'),
        "its defaults() raised AttributeError",
    ),
    "a Tensor in place of Scores": (
        but(
            "Scores(patches=distances[:, -1].reshape(query.patches.shape[:3]))",
            "distances[:, -1].reshape(query.patches.shape[:3])",
        ),
        "return Scores|must return Scores, got Tensor",
    ),
    "None in place of Scores": (
        but("        return Scores(", "        Scores("),
        "returned None; return Scores|must return Scores, got NoneType",
    ),
    "an error in score": (
        but("query.patches.flatten", "query.pixels.flatten"),
        "'Features' object has no attribute 'pixels'",
    ),
}

EVERY = {**OUT, **UNUSABLE, **UNMADE, **WRONG}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a module as the distribution dist-hostile, beside adbench."""
    site = tmp_path / "site"
    (site / "dist_hostile-1.0.dist-info").mkdir(parents=True)
    (site / "dist_hostile-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: dist-hostile\nVersion: 1.0\n"
    )
    (site / "dist_hostile-1.0.dist-info" / "entry_points.txt").write_text("[adbench]\nhostile = hostile_plugin\n")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def install(text):
        (site / "hostile_plugin.py").write_text(text)
        sys.modules.pop("hostile_plugin", None)
        installed.cache_clear()

    yield install
    sys.modules.pop("hostile_plugin", None)
    installed.cache_clear()


def message(capsys):
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return out, err


def holds(text, wanted):
    return any(each in text for each in wanted.split("|"))


@pytest.mark.parametrize("case", {**OUT, **UNUSABLE})
def test_list_goes_on_and_tells_the_cause_once(install, capsys, case):
    text, wanted = EVERY[case]
    install(text)
    assert call(["list"]) == 0
    out, err = message(capsys)
    assert "toy-nearest" in out
    (line,) = err.strip().splitlines()
    assert line.startswith("left out: plugin 'dist-hostile': ")
    assert holds(line, wanted)


@pytest.mark.parametrize("case", EVERY)
def test_list_with_options_goes_on(install, capsys, case):
    install(EVERY[case][0])
    assert call(["list", "scorer"]) == 0
    assert "toy-nearest" in message(capsys)[0]


@pytest.mark.parametrize("case", EVERY)
def test_check_names_the_cause_in_one_line(install, capsys, case):
    text, wanted = EVERY[case]
    install(text)
    assert call(["check", "dist-hostile"]) == 1
    _, err = message(capsys)
    lines = [line for line in err.splitlines() if line.startswith(("failed: ", "error: "))]
    assert holds(lines[0], wanted)
    if case not in WRONG:
        assert len(lines) == 1, "one cause, one line"


@pytest.mark.parametrize("case", ["a Tensor in place of Scores", "None in place of Scores", "an error in score"])
def test_one_cause_is_one_failure(install, capsys, case):
    install(WRONG[case][0])
    assert call(["check", "dist-hostile"]) == 1
    out, err = message(capsys)
    assert len(err.strip().splitlines()) == 1
    assert "more rules, which build on the failed one" in " ".join(out.replace("│", " ").split())


RUN = [
    "run",
    "--backbone",
    "toy-pixels",
    "--bank",
    "toy-vectors",
    "--category",
    "bolt",
    "--limit-test",
    "2",
    "--limit-train",
    "2",
]
RUN += ["--no-figures", "--threshold", "none", "--cache", "none", "--device", "cpu"]


@pytest.mark.parametrize(
    "case", ["the name of another's", "a misspelt hook", "no score", "an exit", "no super().__init__"]
)
def test_a_run_of_other_parts_goes_on(install, capsys, parts, tmp_path, case):
    text, wanted = EVERY[case]
    install(text)
    assert call([*RUN, "--scorer", "toy-nearest", "--data", str(parts), "--out", str(tmp_path / "runs")]) == 0
    _, err = message(capsys)
    reported = [line for line in err.splitlines() if line.startswith("left out: ")]
    assert len(reported) == (case not in UNMADE)
    assert all(holds(line, wanted) for line in reported)


@pytest.mark.parametrize("case", {**UNUSABLE, **UNMADE, **WRONG})
def test_a_run_of_the_faulty_part_ends_with_a_line(install, capsys, parts, tmp_path, case):
    text, wanted = EVERY[case]
    install(text)
    words = [word for word in RUN if word not in ("--bank", "toy-vectors")]
    assert call([*words, "--scorer", "mine", "--data", str(parts), "--out", str(tmp_path / "runs")]) in (1, 2)
    assert holds(message(capsys)[1], wanted)


def test_the_good_one_is_good(install, capsys, parts, tmp_path):
    """Or else the others would prove nothing."""
    install(GOOD)
    assert call(["check", "dist-hostile"]) == 0
    assert call([*RUN, "--scorer", "mine", "--data", str(parts), "--out", str(tmp_path / "runs")]) == 0
    assert message(capsys)[1].count("left out") == 0
