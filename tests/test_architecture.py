"""Check the layers: an import points to a lower layer, and packages of one layer never import each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.config import PROJECT_DIR

LAYERS = (  # of `app/`, the lowest first; packages of one layer never import each other
    ("records", "errors"),
    ("core",),
    ("roster", "photos", "faces", "gallery"),
    ("planning",),
    ("pipeline",),
    ("scale", "recognition"),
    ("runs",),
    ("reports",),
    ("checkup",),
    ("cli",),
)
FORBIDDEN = {"pipeline": {"gallery"}, "scale": {"gallery"}}  # although it is lower: workers have no database
LAYER_OF = {package: layer for layer, packages in enumerate(LAYERS) for package in packages}
MAX_FUNCTION_LINES, MAX_FILE_LINES = 40, 400
FILES = sorted((PROJECT_DIR / "app").rglob("*.py"))
NAMES = [str(path.relative_to(PROJECT_DIR)) for path in FILES]


def package_of(module: str) -> str:
    """Return the package of `app/` that a module is in: `photos` for `app.photos.urls`."""
    return module.split(".")[1] if "." in module else ""


def imports_of_ours(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "app")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute, so that they can be read here"
            if node.module == "app":
                yield from (f"app.{alias.name}" for alias in node.names)
            elif (node.module or "").startswith("app."):
                yield str(node.module)


def forbidden_imports(module: str, source: str) -> list[str]:
    """Return what a module imports of another package of its own layer, of a higher one, or of a forbidden one."""
    package, forbidden = package_of(module), FORBIDDEN.get(package_of(module), set())
    others = [name for name in imports_of_ours(ast.parse(source)) if package_of(name) != package]
    return [name for name in others if LAYER_OF[package_of(name)] >= LAYER_OF[package] or package_of(name) in forbidden]


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_an_import_points_to_a_lower_layer(path: Path) -> None:
    module = ".".join(path.relative_to(PROJECT_DIR).with_suffix("").parts).removesuffix(".__init__")
    if module == "app":
        assert list(imports_of_ours(ast.parse(path.read_text(encoding="utf-8")))) == []
    else:
        assert forbidden_imports(module, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("module", "source", "found"),
    [
        ("app.photos.urls", "from app.photos.temp_folder import TempFolder\nimport app.core.retry", []),
        ("app.photos.urls", "from app.faces.regions import Box", ["app.faces.regions"]),
        ("app.pipeline.stages", "from app.gallery.gallery import Gallery", ["app.gallery.gallery"]),
        ("app.core.retry", "def late():\n    import app.cli.main", ["app.cli.main"]),
        ("app.errors", "from app import records", ["app.records"]),
        ("app.pipeline.stages", "from app.runs.run import run_batch", ["app.runs.run"]),
    ],
)
def test_this_check_finds_what_it_looks_for(module: str, source: str, found: list[str]) -> None:
    assert forbidden_imports(module, source) == found


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_files_and_functions_stay_short(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= MAX_FILE_LINES
    functions = (n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    lengths = {function.name: (function.end_lineno or 0) - function.lineno + 1 for function in functions}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_FUNCTION_LINES} == {}
