"""run_embeddings.sh where cron runs it as somebody else, or something of it is missing: a Spanish sentence, what to do,
and a code that means «could not start», never «some failed»."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.config import PROJECT_DIR

NOBODY = 65534
PYTHON = """#!/bin/sh
case "$*" in
  *"pip install"*) echo "no hay red" >&2; exit 1 ;;
  *generate_face_embeddings.py*) echo "el programa" ;;
esac
"""
Done = subprocess.CompletedProcess[str]


@pytest.fixture
def project() -> Iterator[Path]:
    """Make a copy of the scripts with a `venv/` that a stand-in for Python lies in, readable by everybody."""
    folder = Path(tempfile.mkdtemp(prefix="proyecto-"))
    folder.chmod(0o755)
    for name in ("run_embeddings.sh", "environment.sh", "requirements.txt", "generate_face_embeddings.py"):
        shutil.copy(PROJECT_DIR / name, folder)
    (folder / "app").mkdir()
    (folder / "app" / "errors.py").write_text("")
    python = folder / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(PYTHON)
    python.chmod(0o755)
    shutil.copy(folder / "requirements.txt", folder / "venv" / ".installed-requirements.txt")
    yield folder
    shutil.rmtree(folder)


def run(project: Path, *, user: int | None = None) -> Done:
    command = ["bash", str(project / "run_embeddings.sh"), "--check"]
    if user is not None:
        command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *command]
    environment = {"PATH": "/usr/bin:/bin"}
    return subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False, timeout=60)


as_somebody_else = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can become another user"
)


@as_somebody_else
def test_a_project_of_somebody_else_that_is_ready_is_run(project: Path) -> None:
    done = run(project, user=NOBODY)
    assert (done.returncode, done.stdout, done.stderr) == (0, "el programa\n", "")


@as_somebody_else
@pytest.mark.parametrize(
    ("closed", "said"),
    [
        ("venv/bin/python", "no puede ejecutar {project}/venv/bin/python, que es de root"),
        ("venv/bin", "no puede ejecutar {project}/venv/bin/python, que es de root"),
        ("app/errors.py", "no puede leer {project}/app/errors.py"),
        ("requirements.txt", "no puede leer {project}/requirements.txt"),
        ("environment.sh", "No se puede leer {project}/environment.sh"),
    ],
)
def test_what_this_user_may_not_use_is_named_with_what_its_owner_has_to_do(
    project: Path, closed: str, said: str
) -> None:
    (project / closed).chmod(0o700)
    done = run(project, user=NOBODY)
    assert done.returncode == 3
    assert said.format(project=project) in done.stderr
    assert "Qué hacer: " in done.stderr
    assert "Permission denied" not in done.stderr + done.stdout


@as_somebody_else
def test_new_requirements_are_not_installed_by_somebody_who_may_not_write(project: Path) -> None:
    (project / "requirements.txt").write_text("nada\n")
    done = run(project, user=NOBODY)
    assert (done.returncode, f"no puede escribir en {project}" in done.stderr) == (2, True)
    assert "como el dueño de esa carpeta" in done.stderr


def test_packages_that_cannot_be_installed_are_said_with_the_room_on_the_disk(project: Path) -> None:
    (project / "requirements.txt").write_text("nada\n")
    done = run(project)
    assert done.returncode == 2
    assert f"No se pudo instalar requirements.txt en {project}/venv" in done.stderr
    assert "no hay red" in done.stderr
    assert (project / "venv" / ".installed-requirements.txt").read_text() != "nada\n"
