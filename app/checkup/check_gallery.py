"""The gallery's memory: whether its vectors and ours are of one model, who is at it, how the last runs ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select

from app.checkup.check_model import open_untouched
from app.checkup.finding import MODEL, RUNS, Finding
from app.core.config import Settings
from app.core.database import Database
from app.core.vectors import cosine_distance
from app.errors import EXIT_BY_SIGNAL, EXIT_NOT_STARTED, Quarantined
from app.faces.embedding_spec import describe_spec
from app.gallery.gallery import Gallery, open_for_reading
from app.gallery.golden_vector import TOLERANCE, Vector
from app.gallery.provenance import known_spec
from app.gallery.run_history import PastRun
from app.pipeline.stages import FaceExtractor
from app.reports.history_report import ENDINGS
from app.runs.run_lock import open_lock, run_under_way

LATE_AFTER = timedelta(hours=48)
LOOKED_BACK, RECENT = 24 * 7, timedelta(days=7)  # runs, one an hour; those that died longer ago are no news
SHOWN = 5
NO_LOG = "Vea logs/app.log y el historial (--history)."


def look_at_gallery(
    settings: Settings, database: Database, faces: FaceExtractor | None, now: datetime
) -> Iterator[Finding]:
    """What tables that are all there remember. Nothing is written: there is no table to be made."""
    contract = describe_spec(settings.FACE_MODEL, settings.FACE_DETECTOR, open_untouched(settings))
    if not contract.weights_sha256:
        contract = known_spec(database, contract)
    gallery = open_for_reading(database, contract, now)
    yield _vectors(gallery)
    if faces is not None:
        yield judge_golden(faces.golden_vector(), gallery.golden_vector.recorded())
    each_s = gallery.history.seconds_each()
    if each_s is not None:
        yield MODEL.ok("speed", f"cada persona tardó {each_s:.2f} s en la última ejecución".replace(".", ","))
    yield _lock(database, now)
    runs = gallery.history.last(LOOKED_BACK, now)
    yield from judge_runs([run for run in runs if not run.options.keys() & {"forget", "crew_id"}], now)
    suspects = gallery.crash_suspects.suspects(gallery.history.living(now))
    aside = [crew_id for crew_id, suspect in suspects.items() if suspect.is_quarantined]
    if aside:
        text = f"{len(aside)}, porque al procesar su foto se cerró el programa: {', '.join(aside[:SHOWN])}"
        yield RUNS.warning("set_aside", text, Quarantined.advice)


def _vectors(gallery: Gallery) -> Finding:
    """Whether those in use may be compared with those that this installation makes."""
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
    """Whether this installation computes what it did when the gallery was made."""
    if recorded is None:
        return MODEL.ok("golden", "se calcula; la próxima ejecución lo anota para comparar")
    moved = cosine_distance(vector, recorded)
    if moved <= TOLERANCE:
        return MODEL.ok(
            "golden", f"sale el mismo vector (se movió {abs(moved):.6f}; límite {TOLERANCE:g})".replace(".", ",")
        )
    text = f"los vectores ya no son los de antes: el del rostro de control se movió {moved:.4f} (límite {TOLERANCE:g})"
    advice = (
        "Vuelva a las versiones anteriores de los paquetes (pip) o del programa. Si el cambio es querido: --all "
        "--force, que regenera a todos."
    )
    return MODEL.broken("golden", text.replace(".", ","), advice)


def _lock(database: Database, now: datetime) -> Finding:
    if not open_lock(database).is_held():
        return RUNS.ok("lock", "libre: ninguna ejecución en marcha")
    run = run_under_way(database, now)
    if run is None:
        return RUNS.ok("lock", "hay una ejecución en marcha")
    return RUNS.ok(
        "lock", f"hay una ejecución en marcha en {run.host} (proceso {run.pid}), {_ago(now - run.started_at)}"
    )


def judge_runs(runs: Sequence[PastRun], now: datetime) -> Iterator[Finding]:
    """The last ones, the latest first."""
    if not runs:
        yield RUNS.ok("last", "todavía no hay ninguna")
        return
    last, age = runs[0], now - (runs[0].ended_at or runs[0].started_at)
    ago = _ago(age)
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


def _ago(age: timedelta) -> str:
    hours = age.total_seconds() / 3600
    if hours < 1:
        return f"hace {max(0, round(hours * 60))} min"
    return f"hace {round(hours)} h" if age <= LATE_AFTER else f"hace {age.days} días"
