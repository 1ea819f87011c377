"""Check the settings (`.env`, and what loading refused) and this machine (Python, memory, folders and disks)."""

from __future__ import annotations

import difflib
import os
import shutil
import stat
import sys
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path

from dotenv.parser import parse_stream

from app.checkup.finding import MACHINE, SETTINGS, Finding
from app.core.config import BYTES_PER_MB, Settings
from app.core.files import why
from app.core.logs import APP_LOG, RUN_LOG
from app.errors import SettingsError

PYTHONS = (3, 10), (3, 14)  # the first that works and the first that is not tested, as in pyproject.toml
MEMORY_BYTES = 800 * BYTES_PER_MB  # a run's peak: docs/rendimiento.md
LEAST_FREE_BYTES = 50 * BYTES_PER_MB  # two photos of the largest size: a run with less fails
REPORT_BYTES = 100 * BYTES_PER_MB  # HR's report of ten thousand failures, with their thumbnails
LOGS = (APP_LOG, RUN_LOG)
PROC, CGROUP = Path("/proc"), Path("/sys/fs/cgroup")
# Files of a control group with its limit and its use, and the line of memory.stat with what the system would reclaim of
# that: in version 2 of control groups, and in version 1.
CGROUP_2 = "memory.max", "memory.current", "inactive_file"
CGROUP_1 = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"


def check_settings(env_file: Path, error: SettingsError | None) -> Generator[Finding, None, None]:
    """Check the file; `error` is what loading the settings raised."""
    if env_file.exists():
        if os.name == "posix":
            yield judge_rights(env_file, env_file.stat(), os.geteuid())
        yield from _check_lines(env_file)
    elif error is None:
        yield SETTINGS.ok("file", f"no hay {env_file.name}: los ajustes vienen de otro lado (entorno u opciones)")
    else:
        advice = "Copie .env.example como .env y complete los valores, si no los da el entorno."
        yield SETTINGS.warning("file", f"no existe {env_file}", advice)
    if error is None:
        yield SETTINGS.ok("values", "completos y válidos")
        return
    first, *lines = str(error).splitlines()  # of all refused values
    if not lines:
        yield SETTINGS.broken("values", first, error.advice)
    for line in lines:
        yield SETTINGS.broken("values", line.removeprefix("  - "), "Corríjalo en .env (.env.example lo explica).")


def judge_rights(env_file: Path, status: os.stat_result, user_id: int) -> Finding:
    """Judge who can read the file. If the program runs as another user than the owner, the group must be able to."""
    mode, is_own = stat.S_IMODE(status.st_mode), status.st_uid == user_id
    if mode & stat.S_IRWXO or (is_own and mode & stat.S_IRWXG):
        text = f"otros usuarios del equipo pueden leer la contraseña (permisos {mode:04o})"
        by_group = f"Pida a su dueño: chgrp {os.getegid()} {env_file} && chmod 640 {env_file}"
        return SETTINGS.warning("env_rights", text, f"Ejecute: chmod 600 {env_file}" if is_own else by_group)
    readers = "su dueño y su grupo leen" if mode & stat.S_IRWXG else "su dueño lee"
    return SETTINGS.ok("env_rights", f"solo {readers} {env_file.name} (permisos {mode:04o})")


def _check_lines(env_file: Path) -> Iterator[Finding]:
    """Report lines that set nothing. No value is quoted: it may be a password."""
    try:
        with env_file.open(encoding="utf-8") as file:
            lines = list(parse_stream(file))
    except (OSError, UnicodeDecodeError):
        return  # loading the settings reported it
    for line in lines:
        if line.error:
            text = f"la línea {line.original.line} de {env_file.name} no se entiende y no cuenta"
            yield SETTINGS.warning("env_line", text, "Escríbala como NOMBRE=valor, o póngale # delante.")
    names = Counter(line.key for line in lines if line.key)
    for name, times in names.items():
        if name not in Settings.model_fields:
            yield SETTINGS.warning("env_name", f"{name} no es un ajuste: no cuenta", _suggest(name))
        elif times > 1:
            yield SETTINGS.warning("env_twice", f"{name} está {times} veces: cuenta la última", "Deje una sola.")


def _suggest(name: str) -> str:
    near = difflib.get_close_matches(name.upper(), Settings.model_fields, 1)
    if near:
        return f"¿Quiso decir {near[0]}? Corríjalo en .env."
    return "Bórrela de .env, si nadie más la usa: .env.example trae todos los ajustes."


def check_machine(settings: Settings | None) -> Generator[Finding, None, None]:
    """Check what a run needs of this machine; the folders only with settings, which name them."""
    yield _judge_python(sys.version_info[:2])
    available = available_bytes(PROC, CGROUP)
    if available is not None:
        yield _judge_memory(available)
    if settings is None:
        return
    logs = len(LOGS) * (settings.LOG_BACKUPS + 1) * settings.LOG_MAX_MB * BYTES_PER_MB + REPORT_BYTES
    in_flight = (settings.DOWNLOAD_THREADS + settings.WORKER_THREADS) * settings.MAX_PHOTO_MB * BYTES_PER_MB
    yield from check_folder("logs", settings.LOG_DIR, "LOG_DIR", int(logs))
    yield from check_log_files(settings.LOG_DIR)
    yield from check_folder("temp", settings.TEMP_DIR, "TEMP_DIR", int(in_flight))


def _judge_python(version: tuple[int, ...]) -> Finding:
    first, after = PYTHONS
    shown = ".".join(map(str, version))
    if first <= version < after:
        return MACHINE.ok("python", shown)
    advice = f"Instale Python {first[0]}.{first[1]} a {after[0]}.{after[1] - 1}, borre la carpeta venv y repita."
    return MACHINE.warning("python", f"{shown}: el programa no está probado con esta versión", advice)


def _judge_memory(available: int) -> Finding:
    text = f"{format_bytes(available)} disponibles"
    if available >= MEMORY_BYTES:
        return MACHINE.ok("memory", text)
    advice = "Cierre otros programas, o baje WORKER_THREADS y BATCH_SIZE en .env."
    return MACHINE.warning("memory", f"{text}; una ejecución usa hasta {format_bytes(MEMORY_BYTES)}", advice)


def available_bytes(proc: Path, cgroup: Path) -> int | None:
    """Return the memory that the system, and the container if there is one, can still give; None if unknown."""
    try:
        fields = dict(line.split(":", 1) for line in (proc / "meminfo").read_text().splitlines())
        system = int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None
    return min([system, *_free_in_groups(proc, cgroup)])


def _free_in_groups(proc: Path, cgroup: Path) -> Iterator[int]:
    """Yield the bytes left in each limited control group of this process."""
    with suppress(OSError):
        for line in (proc / "self" / "cgroup").read_text().splitlines():
            _, kinds, own = line.split(":", 2)
            if kinds and "memory" not in kinds.split(","):
                continue
            top = cgroup / "memory" if kinds else cgroup
            # In a container the path may be the host's: the container's own group is then the top one.
            for group in (top / own.lstrip("/"), *(top / own.lstrip("/")).parents):
                with suppress(OSError, ValueError, KeyError):  # no limit ("max"), or no such group here
                    yield _free_in(group, CGROUP_1 if kinds else CGROUP_2)
                if group == top:
                    break


def _free_in(group: Path, names: tuple[str, str, str]) -> int:
    limit, used = (int((group / name).read_text()) for name in names[:2])
    parts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    return max(0, limit - used + int(parts[names[2]]))


def check_folder(name: str, folder: Path, setting: str, enough_bytes: int) -> Iterator[Finding]:
    """Check that the folder, or its nearest parent that exists, can be written to and has `enough_bytes` free."""
    existing = next(path for path in (folder, *folder.parents) if os.access(path, os.F_OK))
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        advice = f"Revise {setting} y los permisos de esa carpeta."
        yield MACHINE.broken(f"{name}_folder", f"no se puede escribir en {existing}", advice)
    else:
        note = "" if existing == folder else " (se creará)"
        yield MACHINE.ok(f"{name}_folder", f"{folder}{note}")
    free = shutil.disk_usage(existing).free
    text = f"{format_bytes(free)} libres en {existing}"
    advice = "Libere espacio en ese disco, o use una carpeta de otro."
    if free < min(LEAST_FREE_BYTES, enough_bytes):
        yield MACHINE.broken(f"{name}_space", text, advice)
    elif free < enough_bytes:
        yield MACHINE.warning(f"{name}_space", f"{text}; puede llegar a usar {format_bytes(enough_bytes)}", advice)
    else:
        yield MACHINE.ok(f"{name}_space", text)


def check_log_files(folder: Path) -> Iterator[Finding]:
    """Report existing log files that cannot be appended to. Files that a run replaces need no rights."""
    for path in (folder / name for name in LOGS):
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_APPEND))  # opening changes nothing
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            advice = f"Si es de otro usuario, ejecute: sudo chown $(id -un) {path}"
            yield MACHINE.broken("log_files", f"no se puede escribir en {path}: {why(error)}", advice)


def format_bytes(number: int) -> str:
    """Format a size in Spanish, for example 1,5 GB."""
    unit, size = ("GB", 1e9) if number >= 1e9 else ("MB", 1e6)  # noqa: PLR2004  # one gigabyte
    shown = f"{number / size:.1f}" if number < 10 * size else f"{number / size:.0f}"
    return f"{shown.replace('.', ',')} {unit}"
