"""The documents say what the program does: --help word for word, every error, every setting."""

import re

import pytest

from app.cli.arguments import build_parser
from app.core.config import PROJECT_DIR, Settings
from app.errors import item_errors

READMES = ("README.md", "README.en.md")


def read(name: str) -> str:
    return (PROJECT_DIR / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", READMES)
def test_readme_holds_the_help_word_for_word(name: str) -> None:
    blocks = re.findall(r"```text\n(.*?)```", read(name), re.DOTALL)
    assert build_parser().format_help() in blocks


@pytest.mark.parametrize("name", READMES)
def test_readme_explains_every_error(name: str) -> None:
    text = read(name)
    missing = [kind.code for kind in item_errors() if kind.title not in text or f"`{kind.code}`" not in text]
    assert missing == []


def test_every_setting_is_documented() -> None:
    text = read("docs/configuration.md")
    assert [name for name in Settings.model_fields if f"`{name}`" not in text] == []


@pytest.mark.parametrize("name", [*READMES, "docs/configuration.md", "docs/operations.md", "docs/security.md"])
def test_no_document_names_a_setting_that_does_not_exist(name: str) -> None:
    prefixes = {field.split("_")[0] for field in Settings.model_fields}
    words = set(re.findall(r"`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)`", read(name)))
    assert {word for word in words if word.split("_")[0] in prefixes} <= set(Settings.model_fields)


@pytest.mark.parametrize("name", READMES)
def test_links_between_documents_lead_somewhere(name: str) -> None:
    targets = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", read(name)) if "://" not in link]
    assert [target for target in targets if target and not (PROJECT_DIR / target).exists()] == []
