"""What the console shows while a run goes on: two lines for each member, and a bar on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from app import records
from app.core.config import BYTES_PER_MB
from app.core.spanish import inflect
from app.core.text import printable
from app.planning.plan import Plan
from app.planning.rules import Rules
from app.records import Outcome, Skipped, Stored
from app.reports.plan_report import plan_notices
from app.reports.run_summary import reason

# Why a member was skipped after a look at the photo. Members skipped without one are only counted.
LOOKED_AT = {
    records.SKIPPED_RENAMED: "solo se anotó su dirección nueva",
    records.SKIPPED_SAME_FILE: "es el mismo archivo",
    records.SKIPPED_REENCODED: "la foto da el mismo vector y la fila se queda",
    records.SKIPPED_REACTIVATED: "volvió al padrón y su embedding está activo de nuevo",
}


class ConsoleProgress:
    """Prints outcomes as they come. A context manager: the bar is gone when the run is over. `notices`: print first
    what to know of the plan; `migrating`: new vectors are staged (`--migrate`)."""

    def __init__(self, console: Console, *, notices: bool = True, migrating: bool = False) -> None:
        self._console = console
        self._print = console.print
        self._notices = notices
        self._migrating = migrating
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("quedan"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._members: TaskID | None = None
        self._download: TaskID | None = None
        self._checking: TaskID | None = None
        self._total = 0
        self._seen = 0

    def __enter__(self) -> ConsoleProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def checking(self, done: int, total: int) -> None:
        """Show on a terminal how many photos the server was asked about."""
        if self._checking is None:
            self._checking = self._bar.add_task("Comprobando fotos")
        self._bar.update(self._checking, completed=done, total=total, visible=done < total)

    def planned(self, plan: Plan, rules: Rules) -> None:
        """Print what to know of the plan. The bar of an interrupted check is hidden now."""
        if self._checking is not None:
            self._bar.update(self._checking, visible=False)
        if plan.asked > len(plan.unchecked) and not self._console.is_terminal:
            answered = plan.asked - len(plan.unchecked)
            self._print(inflect(answered, "🔎 # foto[s] comprobada[s]"))
        for line in plan_notices(plan, rules, migrating=self._migrating) if self._notices else ():
            self._print(line)

    def begin(self, pending: int, current: int) -> None:
        self._total = pending
        if current:
            line = "⏭️  # tripulante[s] ya tiene[n] su embedding al día (con --force se regenera)"
            self._print(inflect(current, line))
        self._members = self._bar.add_task("Fotos", total=pending, visible=pending > 0)

    def outcome(self, outcome: Outcome) -> None:
        if isinstance(outcome, Skipped) and outcome.code not in LOOKED_AT:
            return
        self._seen += 1
        crew_id = printable(outcome.member.crew_id)
        self._print(f"[{self._seen}/{self._total}] Procesando {crew_id}...")
        if isinstance(outcome, Stored):
            self._print(f"✅ Embedding generado exitosamente para {crew_id} (ID: {outcome.embedding_id})")
        elif isinstance(outcome, Skipped):
            self._print(f"⏭️  Sin cambios para {crew_id}: {LOOKED_AT[outcome.code]}")
        else:
            self._print(f"❌ Error al extraer embedding para {crew_id}: {reason(outcome)}")
        if self._members is not None:
            self._bar.advance(self._members)

    def withdrawn(self, outcome: Stored) -> None:
        crew_id = printable(outcome.member.crew_id)
        self._print(f"↩️  Embedding de {crew_id} retirado: otra persona tiene la misma foto")

    def notice(self, line: str) -> None:
        self._print(printable(line))

    def download(self, name: str, done: int, total: int) -> None:
        """Show the weights' download: a bar on a terminal, one line otherwise."""
        if self._download is None:
            if not self._console.is_terminal:
                self._print(f"Descargando los pesos del modelo: {name}")
            self._download = self._bar.add_task(f"Descargando {name} (MB)")
        self._bar.update(self._download, completed=done // BYTES_PER_MB, total=total // BYTES_PER_MB or None)
        if done == total:
            self._bar.update(self._download, visible=False)
