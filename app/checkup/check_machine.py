"""This machine: settings come in; what was found of Python, memory, folders and disks goes out. Nothing is written."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from app.checkup.finding import MACHINE, Finding
from app.core.config import BYTES_PER_MB, Settings
from app.core.files import why
from app.core.logs import APP_LOG, RUN_LOG

PYTHONS = (3, 10), (3, 14)  # from, and below: as pyproject.toml has it
MEMORY_BYTES = 800 * BYTES_PER_MB  # a run at its most: README.md, "Rendimiento"
LEAST_FREE_BYTES = 50 * BYTES_PER_MB  # two photos of the largest size: with less a run dies of it
REPORT_BYTES = 100 * BYTES_PER_MB  # the report of ten thousand failures, with their thumbnails
LOG_FILES = 2
PROC, CGROUP = Path("/proc"), Path("/sys/fs/cgroup")
# Of a group of processes: its limit, what it uses, and what of that the system gives up when asked (a line of
# memory.stat); in the second version of such groups, and in the first.
SECOND = "memory.max", "memory.current", "inactive_file"
FIRST = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"


def look_at_machine(settings: Settings | None) -> Iterator[Finding]:
    """What a run needs of the machine; folders only where the settings say which."""
    yield _python(sys.version_info[:2])
    yield from _memory(available_bytes(PROC, CGROUP))
    if settings is None:
        return
    logs = LOG_FILES * (settings.LOG_BACKUPS + 1) * settings.LOG_MAX_MB * BYTES_PER_MB + REPORT_BYTES
    flight = (settings.DOWNLOAD_THREADS + settings.WORKER_THREADS) * settings.MAX_PHOTO_MB * BYTES_PER_MB
    yield from look_at_folder("logs", settings.LOG_DIR, "LOG_DIR", int(logs))
    yield from look_at_logs(settings.LOG_DIR)
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


def available_bytes(proc: Path, cgroup: Path) -> int | None:
    """What the system and, where there is one, the container still have; None where nobody says."""
    try:
        fields = dict(line.split(":", 1) for line in (proc / "meminfo").read_text().splitlines())
        system = int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None
    return min([system, *_rooms(proc, cgroup)])


def _rooms(proc: Path, cgroup: Path) -> Iterator[int]:
    """What each of the groups of processes that this one is in still has, where it is limited."""
    with suppress(OSError):
        for line in (proc / "self" / "cgroup").read_text().splitlines():
            _, kinds, own = line.split(":", 2)
            if kinds and "memory" not in kinds.split(","):
                continue
            top = cgroup / "memory" if kinds else cgroup
            # In a container the path may be the host's: its own group is then the top one.
            for group in (top / own.lstrip("/"), *(top / own.lstrip("/")).parents):
                with suppress(OSError, ValueError, KeyError):  # no limit ("max"), or no such group here
                    yield _room_of(group, FIRST if kinds else SECOND)
                if group == top:
                    break


def _room_of(group: Path, names: tuple[str, str, str]) -> int:
    limit, used = (int((group / name).read_text()) for name in names[:2])
    parts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    return max(0, limit - used + int(parts[names[2]]))


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


def look_at_logs(folder: Path) -> Iterator[Finding]:
    """The log files that cannot be written, of those that there are; a report is replaced, whoever made the last."""
    for path in (folder / APP_LOG, folder / RUN_LOG):
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_APPEND))  # which changes nothing
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            advice = f"Si es de otro usuario, ejecute: sudo chown $(id -un) {path}"
            yield MACHINE.broken("log_files", f"no se puede escribir en {path}: {why(error)}", advice)


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
