"""A run as Prometheus metrics, in a file for node exporter's textfile collector."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from app.core.files import write_private
from app.errors import EXIT_ALREADY_RUNNING, EXIT_OK, EXIT_SOME_FAILED, RunError, item_errors
from app.gallery.gallery import Gallery
from app.reports.console import warn_unwritten
from app.runs.result import RunCounts

PREFIX = "face_embeddings_"
LAST_SUCCESS = f"{PREFIX}last_success_timestamp_seconds"
READABLE_BY_ALL = 0o644  # the exporter runs as another user, and the file names no person
MS_PER_S = 1000


def publish(
    console: Console, target: str, exit_code: int, counts: RunCounts | None = None, gallery: Gallery | None = None
) -> None:
    """Write the metrics of a run that has just ended, or print why they could not be written. A run that found another
    one under way leaves that one's alone."""
    if exit_code == EXIT_ALREADY_RUNNING:
        return
    try:
        write_metrics(Path(target), exit_code, time.time(), counts, _people_in(gallery))
    except OSError as error:
        warn_unwritten(console, target, error)


def write_metrics(
    path: Path, exit_code: int, ended_at: float, counts: RunCounts | None = None, in_gallery: int | None = None
) -> None:
    """Replace the file; a failed run keeps the old file's time of the last success. Raises OSError. `ended_at`:
    seconds since 1970; `counts`: None when the run did not begin; `in_gallery`: people with an active vector."""
    last_success = ended_at if exit_code in (EXIT_OK, EXIT_SOME_FAILED) else _last_success(path)
    registry = CollectorRegistry()

    def gauge(name: str, what: str, value: float | None) -> None:
        if value is not None:
            Gauge(f"{PREFIX}{name}", what, registry=registry).set(value)

    def gauges(name: str, label: str, what: str, values: Mapping[str, float]) -> None:
        family = Gauge(f"{PREFIX}{name}", what, [label], registry=registry)
        for key, value in values.items():
            family.labels(key).set(value)

    gauge("last_run_exit_code", "Código de salida de la última ejecución", exit_code)
    gauge("last_run_timestamp_seconds", "Fin de la última ejecución", ended_at)
    gauge("last_success_timestamp_seconds", "Fin de la última con código 0 o 1", last_success)
    gauge("gallery_people", "Personas con un vector activo", in_gallery)
    if counts is not None:
        # All codes, so that a graph of one does not begin in the middle.
        failures = dict.fromkeys((kind.code for kind in item_errors()), 0) | dict(counts.by_code)
        stages_s = {stage: milliseconds / MS_PER_S for stage, milliseconds in counts.stages_ms.items()}
        gauge("last_run_seconds", "Duración", counts.seconds)
        gauges("last_run_people", "outcome", "Personas por resultado", _outcomes(counts))
        gauges("last_run_failures", "code", "Personas con error, por código", failures)
        gauges("last_run_stage_seconds", "stage", "Media de cada etapa por foto", stages_s)
        gauges("last_run_changes", "kind", "Cambios en la galería, y filas que otro modelo conserva", counts.changes)
        gauges("last_run_photo_checks", "result", "Preguntas al servidor de fotos, por respuesta", counts.checks)
    write_private(path, generate_latest(registry), READABLE_BY_ALL)


def _outcomes(counts: RunCounts) -> dict[str, float]:
    return {
        "stored": counts.stored,
        "failed": counts.failed - counts.recalled,
        "failed_before": counts.recalled,
        "skipped": counts.current + counts.returned,
        "unchecked": counts.unchecked,
        "interrupted": counts.interrupted,
    }


def _people_in(gallery: Gallery | None) -> int | None:
    try:
        return None if gallery is None else gallery.people()
    except RunError:  # the database is away: the run's own error says so
        return None


def _last_success(path: Path) -> float | None:
    try:
        families = list(text_string_to_metric_families(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):  # not there, or not ours
        return None
    samples = (sample for family in families for sample in family.samples)
    return next((sample.value for sample in samples if sample.name == LAST_SUCCESS), None)
