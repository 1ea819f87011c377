"""Check what the gallery's tables record: the model of the active vectors, the run lock, how the last runs ended."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select

from app.checkup.finding import MODEL, RUNS, Finding
from app.core.clock import utc_now
from app.core.config import Settings
from app.core.database import Database
from app.core.spanish import say_ago
from app.core.vectors import SAME_VECTOR, cosine_distance
from app.errors import EXIT_BY_SIGNAL, EXIT_NOT_STARTED, Quarantined
from app.faces.embedding_spec import describe_spec
from app.faces.weights import open_weights
from app.gallery.embeddings_table import find_table
from app.gallery.gallery import Gallery, open_for_reading
from app.gallery.golden_vector import Vector
from app.gallery.provenance import known_spec
from app.gallery.run_history import PastRun, RunHistory
from app.pipeline.face_extractor import FaceExtractor
from app.reports.history_report import ENDINGS
from app.runs.run_lock import open_lock

LATE_AFTER = timedelta(hours=48)
RECENT = timedelta(days=7)  # runs that died before are not reported
RUNS_READ = 24 * 7  # one an hour for that time
SHOWN = 5  # crew ids
NO_LOG = "Vea logs/app.log y el historial (--history)."


def check_gallery(
    settings: Settings, database: Database, faces: FaceExtractor | None
) -> Generator[Finding, None, None]:
    """Check what the tables record. Creates none. Raises DatabaseUnavailable."""
    now = utc_now()
    spec = describe_spec(settings.FACE_MODEL, settings.FACE_DETECTOR, open_weights(settings))
    if not spec.weights_sha256:
        spec = known_spec(database, spec)
    gallery = open_for_reading(database, find_table(database), spec, now)
    yield _check_models(gallery)
    if faces is not None:
        yield judge_golden(faces.golden_vector(), gallery.golden_vector.recorded())
    seconds_each = gallery.history.seconds_each()
    if seconds_each is not None:
        yield MODEL.ok("speed", f"cada persona tardó {seconds_each:.2f} s en la última ejecución".replace(".", ","))
    yield _check_lock(database, now)
    runs = gallery.history.last(RUNS_READ, now)
    yield from judge_runs([run for run in runs if not run.options.keys() & {"forget", "crew_id"}], now)
    suspects = gallery.crash_suspects.suspects(gallery.history.living(now))
    quarantined = [crew_id for crew_id, suspect in suspects.items() if suspect.is_quarantined]
    if quarantined:
        shown = ", ".join(quarantined[:SHOWN])
        text = f"{len(quarantined)}, porque al procesar su foto se cerró el programa: {shown}"
        yield RUNS.warning("set_aside", text, Quarantined.advice)


def _check_models(gallery: Gallery) -> Finding:
    in_use = select(func.count()).select_from(gallery.table).where(gallery.table.c.active)
    active = gallery.database.transaction(lambda connection: int(connection.execute(in_use).scalar_one()))
    others, model = len(gallery.incompatible_rows()), gallery.spec.model
    if not active:
        return MODEL.ok("contract", "todavía no hay ningún vector en uso")
    if not others:
        return MODEL.ok("contract", f"vectores en uso: {active}, comparables con los que calcula {model}")
    text = f"vectores en uso de otro modelo, o de otros pesos, que {model}: {others} de {active}"
    advice = (
        "Si cambió de modelo a propósito: ./run_embeddings.sh --migrate. Si no, corrija FACE_MODEL en .env: debe "
        "ser el del servicio de reconocimiento."
    )
    return MODEL.warning("contract", text, advice)


def judge_golden(vector: Vector, recorded: Vector | None) -> Finding:
    """Compare the golden vector that this installation computes with the recorded one, which a run left."""
    if recorded is None:
        return MODEL.ok("golden", "se calcula; la próxima ejecución lo anota para comparar")
    moved = cosine_distance(vector, recorded)
    if moved <= SAME_VECTOR:
        text = f"sale el mismo vector (se movió {abs(moved):.6f}; límite {SAME_VECTOR:g})"
        return MODEL.ok("golden", text.replace(".", ","))
    text = "los vectores ya no son los de antes: el del rostro de control se movió"
    text = f"{text} {moved:.4f} (límite {SAME_VECTOR:g})"
    advice = (
        "Vuelva a las versiones anteriores de los paquetes (pip) o del programa. Si el cambio es querido: --all "
        "--force, que regenera a todos."
    )
    return MODEL.broken("golden", text.replace(".", ","), advice)


def _check_lock(database: Database, now: datetime) -> Finding:
    if not open_lock(database).is_held():
        return RUNS.ok("lock", "libre: ninguna ejecución en marcha")
    run = RunHistory(database).under_way(now)
    where = f" en {run.host} (proceso {run.pid}), {say_ago(now - run.started_at)}" if run else ""
    return RUNS.ok("lock", f"hay una ejecución en marcha{where}")


def judge_runs(runs: Sequence[PastRun], now: datetime) -> Iterator[Finding]:
    """Judge how the last run ended, and count those that died; `runs` has the latest first."""
    if not runs:
        yield RUNS.ok("last", "todavía no hay ninguna")
        return
    last, age = runs[0], now - (runs[0].ended_at or runs[0].started_at)
    ago = say_ago(age)
    if last.alive:
        yield RUNS.ok("last", f"hay una en marcha en {last.host} desde {ago}")
    elif last.exit_code is None:
        yield RUNS.warning("last", f"la última murió sin terminar: empezó {ago}", NO_LOG)
    elif EXIT_NOT_STARTED <= last.exit_code < EXIT_BY_SIGNAL:
        text = f"la última {ENDINGS.get(last.exit_code, 'falló')}, {ago}: {last.error or 'sin detalle'}"
        yield RUNS.warning("last", text, NO_LOG)
    elif age > LATE_AFTER:
        yield RUNS.warning("last", f"la última terminó {ago}", "Compruebe que cron siga en marcha: crontab -l")
    else:
        how = ENDINGS.get(last.exit_code, "interrumpida")
        yield RUNS.ok("last", f"la última terminó {ago} ({how})")
    dead = [run for run in runs[1:] if run.exit_code is None and not run.alive and now - run.started_at < RECENT]
    if dead:
        yield RUNS.warning("dead", f"murieron sin terminar en los últimos {RECENT.days} días: {len(dead)}", NO_LOG)
