"""Describe the machine that figures are measured on, and set the environment that all measured processes share."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from app.core.config import PROJECT_DIR, Settings

# Some machines set these for OpenBLAS; they slow numpy down. Unset for every side alike.
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
# Set or found by the benchmark itself, so not taken from the caller's environment.
CHOSEN_HERE = ("DEEPFACE_BACKEND_ENGINE", "DEEPFACE_ONNX_PROVIDERS", "TF_USE_LEGACY_KERAS", "DEEPFACE_HOME")
ALLOCATOR = "MALLOC_"  # prefix of the C library's allocator settings, which are not taken over either
PACKAGES = ("deepface", "tensorflow", "mtcnn", "onnxruntime", "opencv-contrib-python-headless", "numpy", "Pillow")
QUIET_LOAD = 0.5  # processes that wanted a core, on average over the last minute


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def say(line: str) -> None:
    """Print a line with the time of day."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def check_machine() -> dict[str, object]:
    """Describe the machine before anything is measured, and warn if other programs use it."""
    machine = describe_machine()
    if float(str(machine["load_at_start"])) > QUIET_LOAD:
        say(f"the machine is not quiet: load {machine['load_at_start']}")
    return machine


def describe_machine() -> dict[str, object]:
    """Return processor, cores, system and versions, for the table and the JSON file."""
    return {
        "processor": _processor(),
        "cores": cores(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": platform.platform(),
        "load_at_start": round(os.getloadavg()[0], 2),
        "unset_for_all": list(UNSET),
        "versions": {"python": platform.python_version()} | {name.lower(): version(name) for name in PACKAGES},
    }


def child_environment(values: Mapping[str, object]) -> dict[str, str]:
    """Return this environment with our settings at their defaults, not those of `.env`, overridden by `values`."""
    environment = {name: value for name, value in os.environ.items() if not _is_left_out(name)}
    environment |= _default_settings()
    environment |= {"PYTHONPATH": str(PROJECT_DIR), "TF_CPP_MIN_LOG_LEVEL": "3", "DEEPFACE_LOG_LEVEL": "40"}
    environment |= {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
    return environment | {name: str(value) for name, value in values.items()}


def _default_settings() -> dict[str, str]:
    """Return as text the settings that have a default."""
    defaults = {name: field.get_default(call_default_factory=True) for name, field in Settings.model_fields.items()}
    return {name: str(value) for name, value in defaults.items() if value is not None and str(value)}


def _is_left_out(name: str) -> bool:
    return name in UNSET + CHOSEN_HERE or name.startswith(ALLOCATOR)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
