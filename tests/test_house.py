"""The plan of the house: modules are listed for the build, have their stubs, and import only from their left."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tcpscope"
ROOMS = [
    "errors",
    "capture",
    "wire",
    "replay",
    "tables",
    "diagnose",
    "report",
    "wireshark",
    "check",
    "cluster",
    "api",
    "testing",
    "pytest_plugin",
    "cli",
]
SOURCES = sorted([*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.pyx"), *PACKAGE.rglob("*.pxd")])
LONGEST = 650  # lines; past 500 one looks for the second idea


def room(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def imported(path):
    """Rooms of tcpscope that a file imports, wherever in it."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        names = []
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.module:
                names.append(node.module)
            elif isinstance(node, ast.Import):
                names += [alias.name for alias in node.names]
    else:
        names = re.findall(r"^\s*(?:from|import|cimport)\s+(tcpscope[\w.]*)", text, re.M)
    return {name.split(".")[1] for name in names if name.startswith("tcpscope.")}


def test_every_compiled_module_is_listed():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["ext-modules"]
    sources = [module["sources"] for module in listed]
    assert sorted(source for (source,) in sources) == sorted(
        str(path.relative_to(ROOT)) for path in PACKAGE.rglob("*.pyx")
    )
    for module in listed:
        assert module["sources"] == [module["name"].replace(".", "/") + ".pyx"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_room_imports_one_to_its_right(path):
    if room(path) in ("__init__", "__main__"):
        return
    mine = ROOMS.index(room(path))
    for other in imported(path):
        assert ROOMS.index(other) <= mine, f"{path.name} imports {other}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_are_small_and_say_what_they_are(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= LONGEST
    if path.name not in ("__init__.py", "__main__.py") and path.suffix != ".pxd":
        text = "\n".join(line for line in lines if not line.startswith("#"))
        assert text.lstrip().startswith('"""'), "a module opens with what it decides"


def test_what_python_calls_has_stubs():
    for path in PACKAGE.rglob("*.pyx"):
        text = path.read_text(encoding="utf-8")
        public = re.findall(r"^(?:cdef class|class|def) (\w+)", text, re.M)
        if any(not name.startswith("_") for name in public):
            assert path.with_suffix(".pyi").exists(), f"{path.name} shows {public} to Python"
