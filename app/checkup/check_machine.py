"""Check this machine: Python's version, the memory, and the folders and disks that a run writes to."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path

from app.checkup.finding import MACHINE, Finding
from app.core.config import BYTES_PER_MB, Settings
from app.core.files import why
from app.core.logs import APP_LOG, RUN_LOG

PYTHONS = (3, 10), (3, 14)  # the first that works and the first that is not tested, as in pyproject.toml
MEMORY_BYTES = 800 * BYTES_PER_MB  # a run's peak: docs/rendimiento.md
LEAST_FREE_BYTES = 50 * BYTES_PER_MB  # two photos of the largest size: a run with less fails
REPORT_BYTES = 100 * BYTES_PER_MB  # HR's report of ten thousand failures, with their thumbnails
LOG_FILES = 2
PROC, CGROUP = Path("/proc"), Path("/sys/fs/cgroup")
# Files of a control group with its limit and its use, and the line of memory.stat with what the system would reclaim of
# that: in version 2 of control groups, and in version 1.
CGROUP_2 = "memory.max", "memory.current", "inactive_file"
CGROUP_1 = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"


def check_machine(settings: Settings | None) -> Generator[Finding, None, None]:
    """Check what a run needs of this machine; the folders only with settings, which name them."""
    yield _judge_python(sys.version_info[:2])
    available = available_bytes(PROC, CGROUP)
    if available is not None:
        yield _judge_memory(available)
    if settings is None:
        return
    logs = LOG_FILES * (settings.LOG_BACKUPS + 1) * settings.LOG_MAX_MB * BYTES_PER_MB + REPORT_BYTES
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
    for path in (folder / APP_LOG, folder / RUN_LOG):
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
