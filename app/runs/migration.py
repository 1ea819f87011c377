"""From one model to another without a mixture: new vectors are laid aside, checked, and switched to all at once.

Until the switch the recognition service sees the old ones only; interrupted, the next `--migrate` goes on.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from app.errors import ItemError, NotSwitched
from app.gallery.gallery import Gallery
from app.gallery.staged_vectors import StagedVector, StagedVectors
from app.photos.temp_folder import TempFolder
from app.planning.decisions import PROCESSED, UNCHANGED, Decision, is_stale
from app.planning.mass_change import MASS_DEACTIVATION, mass
from app.planning.plan import Plan
from app.records import CrewMember, Embedding
from app.runs.context import RunContext
from app.runs.execution import Execution
from app.runs.result import RunResult

log = logging.getLogger(__name__)

SAMPLE = 50  # people who are looked at once more before the switch
MOST = 0.75  # of them have to be seen again
RECOGNISED = 0.95  # of those have to be nearest to themselves


class Migration:
    """One `--migrate`: lays aside what is missing, checks all of it, and switches."""

    def __init__(self, plan: Plan, context: RunContext, results: RunResult) -> None:
        self._context = dataclasses.replace(context, store=context.gallery.writer.stage)
        self._results = results
        self._staging = staged_vectors_of(context.gallery)
        self._plan = plan

    def run(self) -> None:
        """Raises NotSwitched when the new vectors are not to be trusted; the old ones are in use as before."""
        self._results.unswitched = True
        Execution(self._plan, self._context, self._results).run()
        if not self._results.complete or self._context.stop.is_set():
            return
        waiting = self._staging.waiting()
        members = {each.member.crew_id: each for each in self._plan.decisions}
        waiting = {crew_id: staged for crew_id, staged in waiting.items() if crew_id in members}
        retired = self._retired(waiting)
        self._refuse_losses(members, waiting)
        self._recognise(members, waiting)
        if self._context.stop.is_set():
            return
        self._staging.switch([staged.row_id for staged in waiting.values()], retired)
        self._results.switched, self._results.unswitched = len(waiting), False

    def _retired(self, waiting: dict[str, StagedVector]) -> list[int]:
        """The rows that are in use now and will not be: of everybody who has a new one, and of everybody whose row
        could not be compared with the new ones."""
        enrolments = self._context.gallery.enrolments()
        return [
            row_id
            for crew_id, enrolment in enrolments.items()
            if crew_id in waiting or is_stale(enrolment, self._context.rules)
            for row_id in enrolment.active_ids
        ]

    def _refuse_losses(self, members: dict[str, Decision], waiting: dict[str, StagedVector]) -> None:
        """Whoever has a vector now and would have none is listed among the errors; too many of them are no switch."""
        had = [each for each in members.values() if each.case.is_active]
        lost = [
            each
            for each in had
            if each.member.crew_id not in waiting
            and each.case.enrolment
            and is_stale(each.case.enrolment, self._context.rules)
        ]
        if len(lost) > mass(len(had), MASS_DEACTIVATION) and not self._context.request.allow_mass_change:
            raise NotSwitched(
                f"{len(lost)} de {len(had)} personas se quedarían sin embedding: no se cambió de modelo. "
                "Los vectores nuevos quedan preparados y los de antes siguen en uso",
                "Corrija las fotos de la lista y repita --migrate, que continúa; o acéptelo con --allow-mass-change.",
            )

    def _recognise(self, members: dict[str, Decision], waiting: dict[str, StagedVector]) -> None:
        """Mirrored, a face is as good as another photo of the person: it has to be nearest to its own vector."""
        crew_ids = sorted(waiting)
        sample = crew_ids[:: max(1, len(crew_ids) // SAMPLE)][:SAMPLE]
        probes = self._probes([members[crew_id].member for crew_id in sample])
        if self._context.stop.is_set():
            return
        if len(probes) < MOST * len(sample):
            raise NotSwitched(
                f"Solo se pudieron comprobar {len(probes)} de {len(sample)} vectores nuevos: no se cambió de modelo. "
                "Los de antes siguen en uso",
                "Compruebe el servidor de fotos y repita --migrate, que continúa.",
            )
        if not probes:
            return
        gallery = _unit(self._staging.vectors([waiting[crew_id].row_id for crew_id in crew_ids]))
        similarity = _unit(np.stack([probe.vector for probe in probes])) @ gallery.T
        own = similarity[np.arange(len(probes)), [crew_ids.index(probe.member.crew_id) for probe in probes]]
        recognised = int((own >= similarity.max(axis=1) - np.float32(1e-6)).sum())
        log.info("Comprobación del cambio: %d de %d reconocidas", recognised, len(probes))
        if recognised < RECOGNISED * len(probes):
            raise NotSwitched(
                f"Con los vectores nuevos solo {recognised} de {len(probes)} personas se parecen más a sí mismas que a "
                "las demás: no se cambió de modelo. Los vectores de antes siguen en uso",
                "Compruebe los pesos del modelo nuevo (bórrelos para descargarlos de nuevo) y repita --migrate.",
            )

    def _probes(self, members: Sequence[CrewMember]) -> list[Embedding]:
        """The mirrored faces' vectors of those whose photo is still to be had."""
        faces = self._context.load_faces()
        temp = TempFolder(self._context.settings.TEMP_DIR)
        found: list[Embedding] = []
        try:
            for member in itertools.takewhile(lambda _: not self._context.stop.is_set(), members):
                with suppress(ItemError, OSError):  # it was fine a moment ago: nothing is learned from this one
                    face = faces.find(faces.decode(self._context.source.fetch(member, temp)))
                    mirrored = np.ascontiguousarray(face.pixels[:, ::-1])
                    found += faces.embedder.embed([dataclasses.replace(face, pixels=mirrored)])
        finally:
            faces.close()
            temp.close()
        return found


def staged_vectors_of(gallery: Gallery) -> StagedVectors:
    """Where the gallery's next vectors wait."""
    return StagedVectors(gallery.database, gallery.table, gallery.provenance.contract.digest)


def without_prepared(plan: Plan, staging: StagedVectors) -> Plan:
    """The plan without those whose new vector is ready from an earlier, interrupted `--migrate`."""
    waiting = staging.waiting()

    def settled(decision: Decision) -> Decision:
        staged = waiting.get(decision.member.crew_id)
        seen = decision.case.photo_record
        if decision.kind not in PROCESSED or staged is None or staged.url != decision.case.url:
            return decision
        if seen is not None and seen.sha256 and seen.sha256 != staged.sha256:
            return decision
        return dataclasses.replace(decision, kind=UNCHANGED, reason="su vector nuevo ya está preparado")

    return dataclasses.replace(plan, decisions=[settled(decision) for decision in plan.decisions])


def needs_migration(plan: Plan, staging: StagedVectors) -> bool:
    """Whether there is anything of another contract, or anything laid aside."""
    return bool(plan.stale) or bool(staging.waiting())


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
