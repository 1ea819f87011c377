"""What ends the run, and the exit codes."""

from __future__ import annotations

import signal
from datetime import timedelta

from app.errors.items import Unexpected

EXIT_OK, EXIT_SOME_FAILED, EXIT_NOT_STARTED, EXIT_NOT_AVAILABLE = 0, 1, 2, 3
EXIT_ALREADY_RUNNING = 4
EXIT_BY_SIGNAL = 128  # plus the signal's number, as shells count
EXIT_INTERRUPTED = EXIT_BY_SIGNAL + signal.SIGINT


class RunError(Exception):
    """Ends the run. `str(error)` is the Spanish sentence; `advice` says what to do."""

    exit_code: int

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice


class SettingsError(RunError):
    exit_code = EXIT_NOT_STARTED


class UnknownModel(RunError):
    exit_code = EXIT_NOT_STARTED


class MissingDependency(RunError):
    exit_code = EXIT_NOT_STARTED

    @classmethod
    def of(cls, error: ModuleNotFoundError) -> MissingDependency:
        package = (error.name or "?").partition(".")[0]
        return cls(
            f"Módulo no encontrado: {package}. Ejecute: pip install -r requirements.txt",
            "Si usa run_embeddings.sh, basta con borrar la carpeta venv y ejecutarlo de nuevo.",
        )


class MemberNotProcessable(RunError):
    exit_code = EXIT_SOME_FAILED


class DatabaseUnavailable(RunError):
    exit_code = EXIT_NOT_AVAILABLE


class WeightsUnavailable(RunError):
    exit_code = EXIT_NOT_AVAILABLE


class NotWritable(RunError):
    """In the middle of a run: a disk is full, or a folder was closed to us."""

    exit_code = EXIT_NOT_AVAILABLE


class MixedModels(RunError):
    exit_code = EXIT_NOT_STARTED


class Suspicious(RunError):
    exit_code = EXIT_NOT_AVAILABLE


class NotSwitched(RunError):
    exit_code = EXIT_NOT_AVAILABLE


class VectorsChanged(RunError):
    exit_code = EXIT_NOT_AVAILABLE


class Defect(RunError):
    exit_code = EXIT_NOT_AVAILABLE

    @classmethod
    def of(cls, error: Exception, said: str) -> Defect:
        """`said`: the error's words, as they may be shown."""
        return cls(f"{Unexpected.title}: {type(error).__name__}: {said}", Unexpected.advice)


class AlreadyRunning(RunError):
    """`age`: for how long the other one has been at it; None where nobody knows."""

    exit_code = EXIT_ALREADY_RUNNING

    def __init__(self, message: str, age: timedelta | None = None) -> None:
        super().__init__(
            message,
            "No hace falta nada: cuando termine, la siguiente continúa. Una que ha muerto no bloquea a nadie; "
            "para que ninguna dure demasiado: --max-minutes.",
        )
        self.age = age


class Stuck(RunError):
    exit_code = EXIT_NOT_AVAILABLE

    def __init__(self, message: str) -> None:
        super().__init__(
            message,
            "Compruebe que al equipo no le falte memoria ni procesador y vuelva a ejecutar: continuará donde quedó. "
            "Si cambió FACE_DETECTOR o FACE_MODEL, vuelva a los de antes.",
        )


class Interrupted(RunError):
    exit_code = EXIT_INTERRUPTED
