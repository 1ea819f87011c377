"""run_embeddings.sh and environment.sh, before Python runs: each obstacle is said in Spanish, with what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.config import PROJECT_DIR
from tests.conftest import OpenWorld

SYSTEM_PYTHON = Path("/usr/bin/python3")  # others may run it, unlike one in somebody's home
NO_MOUNT = 77  # the exit code by which automake tells a test that cannot be run
STRANGER = 12345  # a user id without an account
LEFT_OUT = shutil.ignore_patterns("__pycache__")
NO_PACKAGES = {"PIP_INDEX_URL": "http://127.0.0.1:9", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": "/dev/null"}
CHMOD = "Como el dueño de esa carpeta, ejecute dentro de ella: chmod a+rX . && chmod -R a+rX app *.py *.sh *.txt"
RUN = """
from generate_face_embeddings import main
assert main(["--all"]) == 0
"""
# Without Python's own modules, which come compiled.
LOADED = f"""
import sys
from pathlib import Path
files = {{name: getattr(each, "__file__", None) or "" for name, each in sys.modules.items()}}
ours = [name for name, file in files.items() if file.startswith({str(PROJECT_DIR)!r})]
Path(sys.argv[1]).write_text(" ".join(ours))
"""
Done = subprocess.CompletedProcess[str]

pytestmark = pytest.mark.skipif(not SYSTEM_PYTHON.exists(), reason="no Python of the system")
as_root = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can be another user")


@pytest.fixture
def project() -> Iterator[Path]:
    """Copy the program to where every user can reach it, with a venv/ that holds only what the script asks for."""
    folder = Path(tempfile.mkdtemp(prefix="proyecto-"))
    folder.chmod(0o755)
    for name in ("run_embeddings.sh", "environment.sh", "generate_face_embeddings.py"):
        shutil.copy(PROJECT_DIR / name, folder)
    shutil.copytree(PROJECT_DIR / "app", folder / "app", ignore=LEFT_OUT)
    (folder / "requirements.txt").write_text("no-hay-tal-paquete\n")
    subprocess.run([SYSTEM_PYTHON, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    (packages,) = folder.glob("venv/lib/python*/site-packages")
    (packages / "rich").mkdir()
    shutil.copy(folder / "requirements.txt", folder / "venv" / ".installed-requirements.txt")
    yield folder
    shutil.rmtree(folder)


def run(project: Path, *words: str, user: int | None = None, **environment: str) -> Done:
    other = [] if user is None else ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    command = [*other, str(project / "run_embeddings.sh"), *(words or ["--help"])]
    given = {"PATH": "/usr/bin:/bin", "TMPDIR": "/tmp"} | environment  # noqa: S108  # pip's own, for any user
    return subprocess.run(command, cwd="/", env=given, capture_output=True, text=True, check=False, timeout=300)


def outgrow(project: Path) -> None:
    """Make the packages out of date, as an update of the program does."""
    (project / "venv" / ".installed-requirements.txt").unlink()


def complaint(sentence: str, advice: str) -> str:
    return f"❌ {sentence}\n   Qué hacer: {advice}\n"


@as_root
def test_another_user_runs_the_program_whatever_is_missing(project: Path) -> None:
    done = run(project, user=STRANGER)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("uso: ./run_embeddings.sh") and "--purge-after DÍAS" in done.stdout


def close(project: Path) -> None:
    (project / "venv").chmod(0o700)


def move_into_a_home(project: Path) -> None:
    home = project / "casa"
    home.mkdir(mode=0o700)
    (home / "python3").symlink_to(SYSTEM_PYTHON)
    replace_python(project, home / "python3")


def remove_python(project: Path) -> None:
    replace_python(project, Path("/no/hay/python3"))


def replace_python(project: Path, target: Path) -> None:
    for python in (project / "venv" / "bin").glob("python*"):
        python.unlink()
        python.symlink_to(target)


@as_root
@pytest.mark.parametrize("mode", [0o755, 0o777])
@pytest.mark.parametrize("spoil", [close, move_into_a_home, remove_python])
def test_a_venv_of_somebody_else_that_cannot_be_run_is_said_and_left_alone(
    project: Path, spoil: object, mode: int
) -> None:
    assert callable(spoil)
    spoil(project)
    project.chmod(mode)
    before = sorted(project.rglob("*"))
    done = run(project, "--all", user=STRANGER)
    sentence = f"El usuario {STRANGER} no puede ejecutar {project}/venv/bin/python, que es de root"
    advice = (
        "Ejecute el programa como root. O, como root: rm -rf venv && PYTHON=/usr/bin/python3 ./run_embeddings.sh --help"
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "", complaint(sentence, advice))
    assert sorted(project.rglob("*")) == before


@as_root
@pytest.mark.parametrize(
    "name", ["requirements.txt", "generate_face_embeddings.py", "app/cli/arguments.py", "app/core"]
)
def test_a_file_that_another_user_cannot_read_is_named(project: Path, name: str) -> None:
    (project / name).chmod(0o600)
    done = run(project, user=STRANGER)
    assert (done.returncode, done.stderr) == (
        3,
        complaint(f"El usuario {STRANGER} no puede leer {project}/{name}", CHMOD),
    )


@as_root
def test_so_is_the_script_that_would_say_it(project: Path) -> None:
    (project / "environment.sh").chmod(0o600)
    done = run(project, user=STRANGER)
    sentence = f"No se puede leer {project}/environment.sh con el usuario {STRANGER}"
    assert (done.returncode, done.stderr) == (3, complaint(sentence, CHMOD))


@as_root
@pytest.mark.parametrize("mode", [0o755, 0o777])
def test_who_may_not_install_is_told_who_may(project: Path, mode: int) -> None:
    outgrow(project)
    project.chmod(mode)
    done = run(project, user=STRANGER)
    sentence = f"Hay que instalar requirements.txt, y el usuario {STRANGER} no puede escribir en {project}"
    advice = "Ejecute una vez, como el dueño de esa carpeta: ./run_embeddings.sh --help"
    assert (done.returncode, done.stderr) == (2, complaint(sentence, advice))


@pytest.mark.skipif(any(Path("/usr/local/bin").glob("python3*")), reason="a Python where the script looks by itself")
def test_without_any_python_the_package_is_named(project: Path, tmp_path: Path) -> None:
    shutil.rmtree(project / "venv")
    for name in ("bash", "env", "id", "dirname", "readlink", "find", "flock"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    (tmp_path / "python3").write_text("#!/bin/sh\nexit 1\n")  # too old
    (tmp_path / "python3").chmod(0o755)
    done = run(project, PATH=str(tmp_path))
    advice = "Instálelo (en Debian y Ubuntu: apt install python3 python3-venv) y vuelva a ejecutar."
    sentence = "No se encontró un Python de 3.10 a 3.13 con el módulo venv."
    assert (done.returncode, done.stderr) == (2, complaint(sentence, advice))


def test_a_venv_of_our_own_whose_python_is_gone_is_made_anew_and_what_stops_it_is_said(project: Path) -> None:
    """Without a network it can be made, but not filled; nobody else may change it, and everybody can use it."""
    remove_python(project)
    umask = os.umask(0o077)
    try:
        done = run(project, **NO_PACKAGES)
    finally:
        os.umask(umask)
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        f"\n❌ No se pudo instalar requirements.txt en {project}/venv\n   Qué hacer: Revise el mensaje" in done.stderr
    )
    assert (project / "venv" / "bin" / "python").exists()
    assert {path.stat().st_mode & 0o777 for path in (project / "venv", project / "venv" / "bin")} == {0o755}
    (project / "requirements.txt").write_text("")  # now there is nothing to install
    done = run(project, **NO_PACKAGES)
    assert done.returncode == 2
    assert "❌ Los paquetes de requirements.txt se instalaron, pero no se pueden cargar\n" in done.stderr
    assert "noexec" in done.stderr.splitlines()[-1]
    assert not (project / "venv" / ".installed-requirements.txt").exists()
    command = ["bash", "-c", f"{project}/run_embeddings.sh --help >&- 2>&-"]
    silent = subprocess.run(command, env=NO_PACKAGES, check=False, timeout=300)
    assert silent.returncode == 2


@as_root
def test_a_full_disk_is_said_with_what_is_left_of_it(project: Path, tmp_path: Path) -> None:
    mount = f"mount -t tmpfs -o size=2m tmpfs {tmp_path} 2>/dev/null || exit {NO_MOUNT}; rm -rf {project}/venv"
    fill = f"cp -r {project}/. {tmp_path}; head -c 2m /dev/zero >{tmp_path}/relleno 2>/dev/null"
    script = f"{mount}; {fill}; {tmp_path}/run_embeddings.sh --help"
    command = ["unshare", "-m", "bash", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == NO_MOUNT or "unshare" in done.stderr:
        pytest.skip("nothing can be mounted here")
    assert done.returncode == 2
    assert f"❌ No se pudo instalar requirements.txt en {tmp_path}/venv" in done.stderr
    assert "(quedan 0 MB de unos 3000 que hacen falta)" in done.stderr


def test_what_nobody_foresaw_has_a_sentence_too(project: Path) -> None:
    outgrow(project)
    (project / ".venv.lock").mkdir()
    done = run(project)
    assert done.returncode == 3
    advice = "Corrija lo que dice el mensaje de arriba y vuelva a ejecutar."
    assert done.stderr.endswith(complaint(f"No se pudo preparar venv/ en {project}", advice))


def test_the_installation_loads_and_so_compiles_what_a_run_imports(
    open_world: OpenWorld, database_url: str, portrait_jpeg: bytes
) -> None:
    """Cron may run as somebody who cannot write to the folder, and would compile it anew every night."""
    world = open_world(database_url, FACE_MODEL="Facenet512")
    world.hire("1", "a.jpg", portrait_jpeg)
    words = ["bash", "-c", 'source ./environment.sh; echo "$IMPORTED"']
    compiled = modules_after(subprocess.check_output(words, cwd=PROJECT_DIR, text=True), world.folder / "modules")
    used = modules_after(RUN, world.folder / "modules")
    assert len(world.rows()) == 1
    assert used >= {"app.runs.execution", "sqlalchemy", "onnxruntime", "cv2"}
    assert used - compiled == {"generate_face_embeddings"}


def modules_after(script: str, target: Path) -> set[str]:
    """Run a script in a process of its own, and return the program's and the packages' modules that it has loaded."""
    command = [sys.executable, "-c", script + LOADED, str(target)]
    done = subprocess.run(command, cwd=PROJECT_DIR, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(target.read_text().split())
