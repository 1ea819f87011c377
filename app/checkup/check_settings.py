"""The settings: `.env` and what loading it said come in, findings go out."""

from __future__ import annotations

import difflib
import os
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from dotenv.parser import parse_stream

from app.checkup.finding import SETTINGS, Finding
from app.core.config import Settings
from app.errors import SettingsError

LIKENESS = 0.6  # of two names: a letter too few or too many, two swapped


def look_at_settings(env_file: Path, problem: SettingsError | None) -> Iterator[Finding]:
    """The file's rights and names, and each value that loading complained of."""
    if env_file.exists():
        if os.name == "posix":
            yield judge_rights(env_file, env_file.stat(), os.geteuid())
        yield from _names(env_file)
    elif problem is None:
        yield SETTINGS.ok("file", f"no hay {env_file.name}: los ajustes vienen de otro lado (entorno u opciones)")
    else:
        advice = "Copie .env.example como .env y complete los valores, si no los da el entorno."
        yield SETTINGS.warning("file", f"no existe {env_file}", advice)
    if problem is None:
        yield SETTINGS.ok("values", "completos y válidos")
        return
    yield from _problems(problem)


def _problems(problem: SettingsError) -> Iterator[Finding]:
    """Loading tells all of them in one message, one a line."""
    first, *lines = str(problem).splitlines()
    if not lines:
        yield SETTINGS.broken("values", first, problem.advice)
    for line in lines:
        yield SETTINGS.broken("values", line.removeprefix("  - "), "Corríjalo en .env (.env.example lo explica).")


def judge_rights(env_file: Path, status: os.stat_result, user_id: int) -> Finding:
    """Who may read the file, where that user runs the program: another owner has to let it in by its group."""
    mode, is_own = stat.S_IMODE(status.st_mode), status.st_uid == user_id
    if mode & stat.S_IRWXO or (is_own and mode & stat.S_IRWXG):
        text = f"otros usuarios del equipo pueden leer la contraseña (permisos {mode:04o})"
        by_group = f"Pida a su dueño: chgrp {os.getegid()} {env_file} && chmod 640 {env_file}"
        return SETTINGS.warning("env_rights", text, f"Ejecute: chmod 600 {env_file}" if is_own else by_group)
    readers = "su dueño y su grupo leen" if mode & stat.S_IRWXG else "su dueño lee"
    return SETTINGS.ok("env_rights", f"solo {readers} {env_file.name} (permisos {mode:04o})")


def _names(env_file: Path) -> Iterator[Finding]:
    """Names and lines of the file that nobody reads. Values are never repeated."""
    try:
        with env_file.open(encoding="utf-8") as file:
            lines = list(parse_stream(file))
    except (OSError, UnicodeDecodeError):
        return  # loading it said so
    for line in lines:
        if line.error:
            text = f"la línea {line.original.line} de {env_file.name} no se entiende y no cuenta"
            yield SETTINGS.warning("env_line", text, "Escríbala como NOMBRE=valor, o póngale # delante.")
    names = Counter(line.key for line in lines if line.key)
    for name, times in names.items():
        if name not in Settings.model_fields:
            yield SETTINGS.warning("env_name", f"{name} no es un ajuste: no cuenta", _nearest(name))
        elif times > 1:
            yield SETTINGS.warning("env_twice", f"{name} está {times} veces: cuenta la última", "Deje una sola.")


def _nearest(name: str) -> str:
    (*near,) = difflib.get_close_matches(name.upper(), Settings.model_fields, 1, LIKENESS)
    if near:
        return f"¿Quiso decir {near[0]}? Corríjalo en .env."
    return "Bórrela de .env, si nadie más la usa: .env.example trae todos los ajustes."
