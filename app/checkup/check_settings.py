"""Check the settings: the rights and lines of `.env`, and the values that loading refused."""

from __future__ import annotations

import difflib
import os
import stat
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path

from dotenv.parser import parse_stream

from app.checkup.finding import SETTINGS, Finding
from app.core.config import Settings
from app.errors import SettingsError


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
