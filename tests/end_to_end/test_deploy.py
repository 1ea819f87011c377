"""The examples for the administrator in deploy/ do what they say: the accounts suffice, the words are ours."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.cli.arguments import parse_arguments
from app.cli.commands.schema import schema_statements
from app.core.config import PROJECT_DIR
from app.core.database import Database
from app.reports.metrics import write_metrics
from tests.conftest import MakeSettings, OpenWorld
from tests.reports.test_metrics import COUNTS
from tests.support.databases import run_sql
from tests.support.mariadb import MariaDb
from tests.support.program import CREW

DEPLOY = PROJECT_DIR / "deploy"
PROGRAM = "/opt/face-embeddings/run_embeddings.sh"
PASSWORDS = {"embeddings": "una clave larga", "embeddings_bajas": "otra clave larga"}


@pytest.fixture
def accounts(
    mariadb: MariaDb, mariadb_name: str, mariadb_database: Database, make_settings: MakeSettings
) -> Iterator[dict[str, str]]:
    """The tables as --print-schema writes them and the accounts of accounts.sql; user -> URL of the database."""
    root = mariadb.url(mariadb_name).render_as_string(hide_password=False)
    for statement in schema_statements(make_settings(DB_URL=root)):
        run_sql(mariadb_database, statement)
    CREW.create(mariadb_database.engine)
    text = (DEPLOY / "accounts.sql").read_text(encoding="utf-8")
    text = re.sub(r"^--.*$", "", text, flags=re.M).replace("cultura.", f"{mariadb_name}.").replace("localhost", "%")
    for statement in filter(None, (part.strip() for part in text.split(";"))):
        mariadb.execute(statement.replace("%", "%%"))
    yield {
        user: mariadb.url(mariadb_name, user, password).render_as_string(hide_password=False)
        for user, password in PASSWORDS.items()
    }
    for user in (*PASSWORDS, "embeddings_mira"):
        mariadb.execute(f"DROP USER {user}@'%%'")


def test_the_nightly_account_suffices_and_the_other_one_erases(
    accounts: dict[str, str],
    mariadb_database: Database,
    open_world: OpenWorld,
    portrait_jpeg: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = mariadb_database.url.render_as_string(hide_password=False)
    world = open_world(root, DB_URL=accounts["embeddings"])
    world.hire("A1", "ana.jpg", portrait_jpeg)
    world.hire("B2", "nadie.jpg", b"<html>")
    for words in ([], ["--plan"], ["--history"], ["--force"]):
        assert world.run(*words).exit_code in (0, 1), words
    assert [row.crew_id for row in world.rows()] == ["A1"]
    refused = world.run("--forget", "A1")
    assert (refused.exit_code, "DELETE" in refused.stdout) == (3, True)
    monkeypatch.setenv("DB_URL", accounts["embeddings_bajas"])
    assert (world.run("--forget", "A1").exit_code, world.rows()) == (0, [])


def commands() -> list[str]:
    """Return every command of the examples that runs the program, without what precedes it on its line."""
    lines = [
        line
        for name in ("crontab.txt", "face-embeddings.service")
        for line in (DEPLOY / name).read_text(encoding="utf-8").splitlines()
        if f"{PROGRAM} " in line and not line.startswith("#")
    ]
    return [line.split(f"{PROGRAM} ", 1)[1] for line in lines]


@pytest.mark.parametrize("words", commands())
def test_the_words_of_the_examples_are_ours(words: str) -> None:
    parse_arguments(shlex.split(words))


def test_alerts_ask_for_metrics_that_there_are(tmp_path: Path) -> None:
    target = tmp_path / "metrics.prom"
    write_metrics(target, 1, 1.0, replace(COUNTS, changes={"blocked": 0}), 3)
    families = text_string_to_metric_families(target.read_text(encoding="utf-8"))
    written = {sample.name for family in families for sample in family.samples}
    asked = set(re.findall(r"face_embeddings_\w+", (DEPLOY / "alerts.yml").read_text(encoding="utf-8")))
    assert len(asked) == 6
    assert asked - written == set()


def test_the_examples_agree_on_where_the_metrics_are() -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in DEPLOY.iterdir() if path.is_file()}
    (folder,) = set(re.findall(r"--collector.textfile.directory=(\S+)", texts["alerts.yml"]))
    targets = re.findall(r"--metrics (\S+)/", texts["crontab.txt"] + texts["face-embeddings.service"])
    assert set(targets) == {folder}
    (writable,) = re.findall(r"^ReadWritePaths=(.*)$", texts["face-embeddings.service"], flags=re.M)
    assert f"-{folder}" in writable.split()
