"""This machine: settings come in; what was found of Python, memory, folders and disks goes out. Nothing is written."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from app.core.config import BYTES_PER_MB, Settings
from app.finding import MACHINE, Finding

PYTHONS = (3, 10), (3, 14)  # from, and below: as pyproject.toml has it
MEMORY_BYTES = 800 * BYTES_PER_MB  # a run at its most: README.md, "Rendimiento"
LEAST_FREE_BYTES = 50 * BYTES_PER_MB  # two photos of the largest size: with less a run dies of it
REPORT_BYTES = 100 * BYTES_PER_MB  # the report of ten thousand failures, with their thumbnails
LOG_FILES = 2
MEMINFO, CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def look_at_machine(settings: Settings | None) -> Iterator[Finding]:
    """What a run needs of the machine; folders only where the settings say which."""
    yield _python(sys.version_info[:2])
    yield from _memory(_available_bytes())
    if settings is None:
        return
    logs = LOG_FILES * (settings.LOG_BACKUPS + 1) * settings.LOG_MAX_MB * BYTES_PER_MB + REPORT_BYTES
    flight = (settings.DOWNLOAD_THREADS + settings.WORKER_THREADS) * settings.MAX_PHOTO_MB * BYTES_PER_MB
    yield from look_at_folder("logs", settings.LOG_DIR, "LOG_DIR", int(logs))
    yield from look_at_folder("temp", settings.TEMP_DIR, "TEMP_DIR", int(flight))


def _python(version: tuple[int, ...]) -> Finding:
    first, after = PYTHONS
    shown = ".".join(map(str, version))
    if first <= version < after:
        return MACHINE.ok("python", shown)
    advice = f"Instale Python {first[0]}.{first[1]} a {after[0]}.{after[1] - 1}, borre la carpeta venv y repita."
    return MACHINE.warning("python", f"{shown}: el programa no está probado con esta versión", advice)


def _memory(available: int | None) -> Iterator[Finding]:
    if available is None:
        return
    text = f"{in_bytes(available)} disponibles"
    if available < MEMORY_BYTES:
        advice = "Cierre otros programas, o baje WORKER_THREADS y BATCH_SIZE en .env."
        yield MACHINE.warning("memory", f"{text}; una ejecución usa hasta {in_bytes(MEMORY_BYTES)}", advice)
    else:
        yield MACHINE.ok("memory", text)


def _available_bytes() -> int | None:
    """What the system and, where there is one, the container still have; None where nobody says."""
    try:
        fields = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
        system = int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None
    try:
        limit, used = ((CGROUP / name).read_text().strip() for name in ("memory.max", "memory.current"))
        return min(system, int(limit) - int(used))
    except (OSError, ValueError):  # no container, or one without a limit
        return system


def look_at_folder(name: str, folder: Path, setting: str, enough_bytes: int) -> Iterator[Finding]:
    """Whether there is a folder to write to, or room to make one, with that much free."""
    existing = next(path for path in (folder, *folder.parents) if os.access(path, os.F_OK))
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        advice = f"Revise {setting} y los permisos de esa carpeta."
        yield MACHINE.broken(f"{name}_folder", f"no se puede escribir en {existing}", advice)
    else:
        made = "" if existing == folder else " (se creará)"
        yield MACHINE.ok(f"{name}_folder", f"{folder}{made}")
    yield _room(name, shutil.disk_usage(existing).free, existing, enough_bytes)


def _room(name: str, free: int, where: Path, enough_bytes: int) -> Finding:
    text = f"{in_bytes(free)} libres en {where}"
    advice = "Libere espacio en ese disco, o use una carpeta de otro."
    if free < min(LEAST_FREE_BYTES, enough_bytes):
        return MACHINE.broken(f"{name}_space", text, advice)
    if free < enough_bytes:
        return MACHINE.warning(f"{name}_space", f"{text}; puede llegar a usar {in_bytes(enough_bytes)}", advice)
    return MACHINE.ok(f"{name}_space", text)


def in_bytes(number: int) -> str:
    """As people read it: 1,5 GB."""
    unit, size = ("GB", 1e9) if number >= 1e9 else ("MB", 1e6)  # noqa: PLR2004  # what a gigabyte is
    shown = f"{number / size:.1f}" if number < 10 * size else f"{number / size:.0f}"
    return f"{shown.replace('.', ',')} {unit}"
