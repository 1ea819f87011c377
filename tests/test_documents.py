"""The documents say what the program does, and every link between them leads somewhere."""

import re
from collections import Counter
from pathlib import Path

import pytest

from app.cli.arguments import build_parser
from app.core.account_limits import NEEDS
from app.core.config import PROJECT_DIR, Settings
from app.core.version import VERSION
from app.errors import item_errors

FOLDERS = ("app", "benchmarks", "deploy", "docs", "tests")
DOCUMENTS = sorted(
    [*PROJECT_DIR.glob("*.md"), *(path for name in FOLDERS for path in (PROJECT_DIR / name).rglob("*.md"))]
)
LONGEST = {"README.md": 200, "README.en.md": 100}
COMMONEST = "Los seis errores más comunes"
NOT_OURS = {"DEEPFACE_BACKEND_ENGINE", "HTTP_PROXY", *NEEDS}  # the environment and an account


def read(name: str) -> str:
    return (PROJECT_DIR / name).read_text(encoding="utf-8")


def name_of(path: Path) -> str:
    return path.relative_to(PROJECT_DIR).as_posix()


def without_blocks(text: str) -> str:
    """The text without its fenced blocks, in which a # begins no heading and brackets make no link."""
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)


def section_of(name: str, heading: str) -> str:
    """What stands below a heading, as far as the next one of its level."""
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", read(name), re.DOTALL | re.MULTILINE)
    return section


def anchors_of(path: Path) -> set[str]:
    """The anchors that GitHub gives a document's headings: lower case, accents kept, punctuation dropped, a hyphen for
    each space, and a number from the second of a name on."""
    seen: Counter[str] = Counter()
    anchors = set()
    for heading in re.findall(r"^#+ +(.*?) *$", without_blocks(path.read_text(encoding="utf-8")), re.MULTILINE):
        shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        anchors.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return anchors


def links_of(path: Path) -> list[str]:
    text = re.sub(r"`[^`\n]*`", "", without_blocks(path.read_text(encoding="utf-8")))
    return [link for link in re.findall(r'\]\(([^)\s]+)\)|(?:src|href)="([^"]+)"', text) for link in link if link]


def is_dead(document: Path, link: str) -> bool:
    target, _, anchor = link.partition("#")
    path = document.parent / target if target else document
    return not path.exists() or (anchor != "" and anchor not in anchors_of(path))


def test_the_help_is_told_word_for_word() -> None:
    blocks = re.findall(r"```text\n(.*?)```", read("docs/uso.md"), re.DOTALL)
    assert build_parser().format_help() in blocks


def test_every_error_is_explained() -> None:
    text = read("docs/errores.md")
    assert [kind.code for kind in item_errors() if f"| {kind.title} | `{kind.code}` |" not in text] == []


def test_no_error_is_explained_that_does_not_exist() -> None:
    codes = set(re.findall(r"^\|[^|]+\| `([a-z_]+)` \|", read("docs/errores.md"), re.MULTILINE))
    assert codes <= {kind.code for kind in item_errors()}


def test_readme_tells_the_six_commonest_errors_as_the_program_does() -> None:
    rows = re.findall(r"^\| (.+?) \| `(\w+)` \| (.+?) \|$", section_of("README.md", COMMONEST), re.MULTILINE)
    assert len(rows) == 6
    assert set(rows) <= {(kind.title, kind.code, kind.advice) for kind in item_errors()}


@pytest.mark.parametrize("name", ["README.md", "docs/uso.md"])
def test_sample_outputs_word_errors_as_the_program_does(name: str) -> None:
    shown = re.findall(r"^❌ (.+?) \(\d+\)\n   Quiénes: .+\n   Qué hacer: (.+)$", read(name), re.MULTILINE)
    assert shown
    assert set(shown) <= {(kind.title, kind.advice) for kind in item_errors()}


@pytest.mark.parametrize("name", LONGEST)
def test_readmes_are_short(name: str) -> None:
    assert len(read(name).splitlines()) <= LONGEST[name]


def test_every_setting_is_documented() -> None:
    text = read("docs/configuration.md")
    assert [name for name in Settings.model_fields if f"`{name}`" not in text] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_no_document_names_a_setting_that_does_not_exist(path: Path) -> None:
    prefixes = {field.split("_")[0] for field in Settings.model_fields}
    words = set(re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", path.read_text(encoding="utf-8")))
    unknown = {word for word in words if word.split("_")[0] in prefixes} - set(Settings.model_fields)
    assert unknown - NOT_OURS == set()


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_every_link_leads_somewhere(path: Path) -> None:
    links = [link for link in links_of(path) if not re.match(r"[a-z]+:", link)]
    assert [link for link in links if is_dead(path, link)] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_no_document_names_a_file_that_does_not_exist(path: Path) -> None:
    """A path in one of the project's folders, or a test by its name alone."""
    words = set(re.findall(r"`([\w./-]+\.\w+)`", path.read_text(encoding="utf-8")))
    paths = {word for word in words if word.split("/")[0] in FOLDERS and "/" in word}
    tests = {word for word in words if re.fullmatch(r"test_\w+\.py", word)}
    missing = {word for word in paths if not (PROJECT_DIR / word).exists()}
    assert missing | tests - {test.name for test in (PROJECT_DIR / "tests").rglob("test_*.py")} == set()


def test_program_project_and_changelog_are_of_one_version(capsys: pytest.CaptureFixture[str]) -> None:
    (project,) = re.findall(r'^version = "(.+)"$', read("pyproject.toml"), re.MULTILINE)
    released = re.findall(r"^## \[(.+?)\] - \d{4}-\d\d-\d\d$", read("CHANGELOG.md"), re.MULTILINE)
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"face-embeddings {VERSION}\n")
    assert (project, released[0]) == (VERSION, VERSION)
