"""Who may import whom, and what stays light."""

import ast
import importlib
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from PIL import Image

import adbench

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "adbench"

ALLOWED = {
    "errors": {"safe_text"},
    "safe_text": set(),
    "api": {"errors", "safe_text", "api"},
    "banks": {"api"},
    "comparisons": {"api"},
    "coresets": {"api"},
    "executor": {"api"},
    "datasets": {"builtin"},
    "files": {"api"},
    "maps": {"api"},
    "metrics": {"errors", "api"},
    "networks": {"api"},
    "records": {"boards", "engine"},
    "reports": {"api"},
    "search": {"api"},
    "training": {"api"},
    "weights": {"api"},
    "registration": {"errors", "safe_text", "api", "registration"},
    "engine": {"errors", "safe_text", "api", "registration", "engine"},
    "detector": {"errors", "safe_text", "api", "datasets", "records", "registration", "engine", "detector"},
    "cli": {
        "errors",
        "safe_text",
        "api",
        "registration",
        "engine",
        "detector",
        "boards",
        "annotations",
        "cli",
        "testing",
    },
    "boards": {"errors", "safe_text", "api", "boards"},
    "testing": {"errors", "api", "registration", "engine", "testing", "builtin"},
    "builtin": {"builtin", "annotations"},
    "annotations": {"errors", "api", "annotations"},
}
"""Parts of the package, and the parts that each may import; everybody may import the public names of ``adbench``."""

DOOR_NAMES = (
    "banks",
    "comparisons",
    "coresets",
    "datasets",
    "errors",
    "executor",
    "files",
    "maps",
    "metrics",
    "networks",
    "records",
    "reports",
    "search",
    "training",
    "weights",
)

DOORS = {f"adbench.{name}" for name in DOOR_NAMES}
"""Documented modules beside ``adbench`` itself, for plugins and for what is written as a plugin is."""

PUBLIC = {*DOORS, "adbench.testing"}
"""What a plugin may import beside ``adbench`` itself."""

AS_A_PLUGIN = {"annotations", "builtin", "boards", "testing"}
"""Parts of the package that come through the public door."""

MOST_PUBLIC_NAMES = 45

ABOVE = {"testing/bench.py": {"cli"}}
"""Files that stand higher than their part, and what they may import besides: the bench runs the command line."""

EXTRA = {
    ("boards", f"adbench.engine.{name}")
    for name in (
        "store.record",
        "store.normal_scores",
        "images.contamination",
        "store.class_report",
        "images.corruption_report",
        "images.drift_report",
        "images.exemplars",
        "images.pooling",
        "evaluate.details",
        "evaluate.threshold",
        "plan.threshold_rule",
    )
}
"""Modules of the engine that boards may import: what is in the files that they read, and how figures are joined."""

ROOMS = ("process", "store", "images", "plan", "features", "tuning", "evaluate", "pictures", "run")
"""The engine's rooms from the ground up: each imports from those before it, and from itself."""

LIGHT_ROOMS = ("process", "store", "images", "plan")
"""Rooms whose modules import no torch when they are loaded."""

MOST_IN_A_ROOM = 16

HEAVY = {
    "cv2",
    "faiss",
    "fiftyone",
    "matplotlib",
    "mlflow",
    "onnxruntime",
    "open_clip",
    "pandas",
    "ray",
    "scipy",
    "skimage",
    "tabulate",
    "timm",
    "torch",
    "wandb",
}
"""What takes long to import, whoever brings it."""


def modules():
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@cache
def imports_of(path):
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    return tuple(found)


def above(path):
    """The imports of a module of the package that its layer does not allow. One test looks at all modules."""
    name, part = path.relative_to(PACKAGE).as_posix(), path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    allowed = ALLOWED[part] | ABOVE.get(name, set())
    return [
        imported
        for imported in imports_of(path)
        if imported.startswith("adbench.")
        and (part, imported) not in EXTRA
        and not (part in AS_A_PLUGIN and imported in DOORS)
        and imported.split(".")[1] not in allowed
    ]


def test_imports_follow_the_layers():
    assert len(modules()) > 300
    assert {str(path.relative_to(PACKAGE)): found for path in modules() if (found := above(path))} == {}


def test_rooms_of_the_engine_import_downwards():
    found = []
    for path in sorted((PACKAGE / "engine").rglob("*/*.py")):
        allowed = ROOMS[: ROOMS.index(path.parent.name) + 1]
        rooms = [name.split(".")[2] for name in imports_of(path) if name.startswith("adbench.engine.")]
        found += [f"{path.parent.name}/{path.name} imports from {room}" for room in rooms if room not in allowed]
    assert found == []


def test_every_module_of_the_engine_is_in_a_room_and_no_room_is_crowded():
    assert [path.name for path in (PACKAGE / "engine").glob("*.py")] == ["__init__.py"]
    for folder in sorted({path.parent for path in modules()}):
        there = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(there) <= MOST_IN_A_ROOM, f"{folder.relative_to(ROOT)} holds {len(there)} modules"


@pytest.mark.slow
def test_the_page_on_architecture_draws_the_rooms_as_they_are():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawn = {
        row[1]: set(filter(None, re.split(r"[, ]+", row[2])))
        for row in re.finditer(r"(?m)^\| `engine/(\w+)` \|.*\|([^|]*)\|$", page)
    }
    found = {room: set() for room in ROOMS}
    for path in (PACKAGE / "engine").rglob("*/*.py"):
        names = [name.split(".") for name in imports_of(path) if name.startswith("adbench.engine.")]
        found[path.parent.name] |= {name[2] for name in names} - {path.parent.name}
    assert drawn == found
    missing = [name for name in re.findall(r"`((?:adbench|tests)/[\w/.]+)`", page) if not (ROOT / name).exists()]
    assert missing == []


def test_there_is_no_import_circle():
    known = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in modules()
    }
    left = {
        name: {other for other in imports_of(path) if other in known and other != name} for name, path in known.items()
    }
    while free := {name for name, others in left.items() if not others & left.keys()}:
        for name in free:
            del left[name]
    assert not left, f"these modules import each other, or one of them does: {sorted(left)}"


def not_for_plugins(path):
    """The imports of a plugin's module that are not public, or of another plugin."""
    own = path.relative_to(ROOT / "plugins").parts[2]
    ours = [name for name in imports_of(path) if name.startswith("adbench.") and name not in PUBLIC]
    return ours + [name for name in imports_of(path) if name.startswith("adbench_") and name.split(".")[0] != own]


def test_plugins_import_public_names_only_and_never_each_other():
    paths = sorted(ROOT.glob("plugins/*/src/**/*.py"))
    assert len(paths) > 100
    assert {str(path.relative_to(ROOT)): found for path in paths if (found := not_for_plugins(path))} == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    "module",
    [
        "adbench",
        *sorted(DOORS),
        "adbench.cli",
        "adbench.registration.registry",
        "adbench.boards.tables.table",
        "adbench.builtin",
    ],
)
def test_light_modules_stay_light(module):
    code = f"import sys, {module}; print(sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [["--help"], ["list"], ["list", "scorer"], ["run", "--help"], ["board", "--help"], ["sweep", "--help"]]
)
def test_light_commands_import_nothing_heavy(arguments):
    """Nor do the plugins that they load."""
    heavy = HEAVY - {"matplotlib", "scipy", "skimage"} | {"numpy"}
    code = f"import sys; from adbench.cli import call; call({arguments!r}); sys.exit(bool({heavy} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)


def test_the_public_names_are_all_that_is_public():
    assert len(adbench.__all__) <= MOST_PUBLIC_NAMES
    assert sorted(adbench.__all__) == sorted(set(adbench.__all__))
    for name in adbench.__all__:
        assert getattr(adbench, name) is not None


@pytest.mark.parametrize("module", sorted(PUBLIC))
def test_the_docstring_of_the_package_names_each_public_module(module):
    assert f"`{module}`" in (adbench.__doc__ or "")


def names_of(module):
    return getattr(importlib.import_module(module), "__all__", [])


@pytest.mark.parametrize("module", sorted(DOORS))
def test_each_public_name_has_one_place_and_the_package_says_which(module):
    for name in names_of(module):
        says_where(module, name)


def says_where(module, name):
    if name in adbench.__all__:
        assert module == "adbench.errors"
        assert getattr(adbench, name) is getattr(importlib.import_module(module), name)
        return
    with pytest.raises(ImportError, match=rf"from {re.escape(module)} import {name}$"):
        exec(f"from adbench import {name}")
    with pytest.raises(ImportError, match=rf"from {re.escape(module)} import {name}$"):
        getattr(adbench, name)


def test_the_package_knows_no_place_of_a_name_that_is_gone():
    for module, names in adbench._ELSEWHERE.items():
        assert set(names) == set(names_of(f"adbench.{module}")) - set(adbench.__all__)


def test_a_name_that_nobody_has_is_an_attribute_error():
    assert not hasattr(adbench, "exact_serch")


@pytest.mark.parametrize("module", sorted(DOORS - {"adbench.metrics", "adbench.errors"}))
def test_the_docstring_of_a_public_module_tells_of_each_name(module):
    for name in names_of(module):
        assert f"`{name}`" in importlib.import_module(module).__doc__


def test_no_plugin_depends_on_the_other_project_of_this_name():
    for path in sorted(ROOT.glob("plugins/*/pyproject.toml")):
        text = path.read_text()
        assert '"adbench-core' in text, path
        assert '"adbench"' not in text.split("dependencies", 1)[1].split("]", 1)[0], path


RUN = ("torch", "imagecodecs", "matplotlib", "skimage")
"""Modules that the extra `run` brings."""


def without_run(*arguments, missing=RUN):
    """A command where what the extra `run` brings cannot be imported, as if it were not installed."""
    code = f"""
import sys
class NoRun:
    def find_spec(self, name, path=None, target=None):
        if name in {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, NoRun())
from adbench.cli import call
sys.exit(call({[*arguments]!r}))
"""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["show", "knn"],
        ["doctor"],
        ["data", "list"],
        ["board", "show", "leaderboards/demo/full-shot"],
    ],
)
def test_commands_that_compute_nothing_need_no_extra(arguments):
    done = without_run(*arguments)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_plan_needs_no_torch():
    """It reads the demo: photographs of scikit-image, and PNGs."""
    plan = ["plan", "--backbone", "toy-pixels", "--scorer", "toy-nearest", "--data", "demo"]
    done = without_run(*plan, missing=("torch", "matplotlib"))
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_boards_are_checked_without_torch():
    assert without_run("board", "check", "leaderboards").returncode == 0


@pytest.mark.slow
def test_a_command_that_needs_torch_says_how_to_install_it(tmp_path):
    done = without_run(
        "run", "--backbone", "toy-pixels", "--scorer", "toy-nearest", "--data", "demo", "--out", str(tmp_path)
    )
    assert done.returncode == 2
    lines = done.stderr.splitlines()  # the first may tell of files that killed runs left
    assert lines[-1].startswith("error: this command needs torch; pip install 'adbench-core[run]'")
    assert not any("Traceback" in line for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["imagecodecs", "matplotlib"])
def test_a_command_that_reads_or_draws_images_says_how_to_install_what_it_needs(tmp_path, missing):
    Image.new("L", (8, 8)).save(tmp_path / "good.png")
    folder = tmp_path / "part" / "train" / "good"
    folder.mkdir(parents=True)
    (tmp_path / "part" / "test" / "good").mkdir(parents=True)
    for place in (folder, tmp_path / "part" / "test" / "good"):
        shutil.copy(tmp_path / "good.png", place)
    done = without_run("data", "show", str(tmp_path / "part"), "--out", str(tmp_path / "sheets"), missing=(missing,))
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"error: this command needs {missing}; pip install")


def test_the_package_finds_its_names_where_a_type_checker_finds_them():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    found = {
        alias.name: (node.module or "").removeprefix("adbench.")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("adbench.")
        for alias in node.names
    }
    assert found == adbench._PLACES
    assert sorted(adbench._PLACES) == sorted(adbench.__all__)


@pytest.mark.slow
def test_the_package_and_the_command_line_start_without_pydantic():
    code = "import sys, adbench.cli; print(sorted({'pydantic', 'numpy', 'adbench.api'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
