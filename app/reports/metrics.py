"""A run as Prometheus metrics: its end comes in, a file for node exporter's textfile collector goes out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from app.core.files import write_private
from app.errors import EXIT_OK, EXIT_SOME_FAILED, item_errors
from app.reports.run_summary import STAGE_NAMES, Summary

PREFIX = "face_embeddings_"
LAST_SUCCESS = f"{PREFIX}last_success_timestamp_seconds"
# The exporter runs as somebody else; no person is in it.
EVERYBODY_READS = 0o644
MS_PER_S = 1000


@dataclass(frozen=True, slots=True)
class RunMetrics:
    """How a run ended. `ended_at`: seconds since 1970; `summary` is None when it did not begin, `in_gallery` (people
    with an active vector) when the database could not say. `changes`: people deactivated, deleted, and the like."""

    exit_code: int
    ended_at: float
    summary: Summary | None = None
    in_gallery: int | None = None
    changes: Mapping[str, int] = field(default_factory=dict)


def write_metrics(metrics: RunMetrics, path: Path) -> None:
    """Replace the file; what no run has said for long, the last success, is carried over. Raises OSError."""
    write_private(path, generate_latest(_collect(metrics, _last_success(path))), EVERYBODY_READS)


def _collect(metrics: RunMetrics, last_success: float | None) -> CollectorRegistry:
    registry = CollectorRegistry()

    def gauge(name: str, what: str, value: float | None) -> None:
        if value is not None:
            Gauge(f"{PREFIX}{name}", what, registry=registry).set(value)

    def gauges(name: str, label: str, what: str, values: Mapping[str, float]) -> None:
        family = Gauge(f"{PREFIX}{name}", what, [label], registry=registry)
        for key, value in values.items():
            family.labels(key).set(value)

    succeeded = metrics.exit_code in (EXIT_OK, EXIT_SOME_FAILED)
    gauge("last_run_exit_code", "Código de salida de la última ejecución", metrics.exit_code)
    gauge("last_run_timestamp_seconds", "Fin de la última ejecución", metrics.ended_at)
    last = metrics.ended_at if succeeded else last_success
    gauge("last_success_timestamp_seconds", "Fin de la última con código 0 o 1", last)
    gauge("gallery_people", "Personas con un vector activo", metrics.in_gallery)
    summary = metrics.summary
    if summary is not None:
        gauge("last_run_seconds", "Duración", summary.seconds)
        gauges("last_run_people", "outcome", "Personas por resultado", _outcomes(summary))
        gauges("last_run_failures", "code", "Personas con error, por código", _by_code(summary))
        gauges("last_run_stage_seconds", "stage", "Media de cada etapa por foto", dict(_stages(summary)))
        gauges("last_run_changes", "kind", "Cambios en la galería, y filas que otro modelo conserva", metrics.changes)
    return registry


def _outcomes(summary: Summary) -> dict[str, float]:
    skipped = summary.skipped - summary.interrupted
    return {
        "stored": summary.stored,
        "failed": summary.failed - summary.recalled,
        "failed_before": summary.recalled,
        "skipped": skipped,
        "interrupted": summary.interrupted,
    }


def _by_code(summary: Summary) -> dict[str, float]:
    """All codes, so that a graph of one does not begin in the middle."""
    return {**{kind.code: 0.0 for kind in item_errors()}, **summary.by_code}


def _stages(summary: Summary) -> Iterator[tuple[str, float]]:
    for stage in STAGE_NAMES:
        if stage in summary.stages_ms:
            yield stage, summary.stages_ms[stage] / MS_PER_S


def _last_success(path: Path) -> float | None:
    try:
        families = list(text_string_to_metric_families(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):  # not there, or not ours
        return None
    samples = (sample for family in families for sample in family.samples)
    return next((sample.value for sample in samples if sample.name == LAST_SUCCESS), None)
