"""Change the model without a mixture: stage the new vectors, check them, and switch to all of them at once.

Until the switch the recognition service sees only the old ones. After an interruption the next `--migrate` continues.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
from collections.abc import Sequence
from contextlib import closing, suppress

import numpy as np
from numpy.typing import NDArray

from app.errors import ItemError, NotSwitched
from app.gallery.gallery import Gallery
from app.photos.temp_folder import TempFolder
from app.planning.decisions import PROCESSED, UNCHANGED, Decision, is_stale
from app.planning.mass_change import MASS_DEACTIVATION, mass
from app.planning.plan import Plan
from app.records import CrewMember, Embedding, Enrolment
from app.runs.context import RunContext
from app.runs.execution import Execution
from app.runs.result import RunResult

log = logging.getLogger(__name__)

SAMPLE = 50  # people whose photo is processed once more before the switch
MOST = 0.75  # of them have to give a vector
RECOGNISED = 0.95  # of those vectors have to be nearest to the same person


class Migration:
    """One `--migrate`: stages the vectors that are missing, checks all of them, and switches."""

    def __init__(self, plan: Plan, context: RunContext, result: RunResult) -> None:
        self._context = dataclasses.replace(context, store=context.gallery.writer.stage)
        self._result = result
        self._gallery = context.gallery
        self._plan = plan

    def run(self) -> None:
        """Stage, check and switch. Raises NotSwitched if the checks fail; the old vectors stay in use."""
        self._result.unswitched = True
        Execution(self._plan, self._context, self._result).run()
        if not self._result.complete or self._context.stop.is_set():
            return
        waiting = self._gallery.staged()
        members = {each.member.crew_id: each for each in self._plan.decisions}
        waiting = {crew_id: staged for crew_id, staged in waiting.items() if crew_id in members}
        retired = self._retired(waiting)
        self._refuse_losses(members, waiting)
        self._recognise(members, waiting)
        if self._context.stop.is_set():
            return
        self._gallery.writer.switch([staged.row_id for staged in waiting.values()], retired)
        self._result.switched, self._result.unswitched = len(waiting), False

    def _retired(self, waiting: dict[str, Enrolment]) -> list[int]:
        """Return the active rows of members who have a new one, and those that cannot be compared with new ones."""
        enrolments = self._gallery.enrolments()
        return [
            row_id
            for crew_id, enrolment in enrolments.items()
            if crew_id in waiting or is_stale(enrolment, self._context.rules)
            for row_id in enrolment.active_ids
        ]

    def _refuse_losses(self, members: dict[str, Decision], waiting: dict[str, Enrolment]) -> None:
        """Raise NotSwitched if too many members who have a vector now would have none."""
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

    def _recognise(self, members: dict[str, Decision], waiting: dict[str, Enrolment]) -> None:
        """Raise NotSwitched unless mirrored faces, which stand for other photos, are nearest to their own vectors."""
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
        gallery = _unit(self._gallery.vectors([waiting[crew_id].row_id for crew_id in crew_ids]))
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
        """Return the vectors of the mirrored faces of members whose photo can be fetched again."""
        faces = self._context.load_faces()
        found: list[Embedding] = []
        with closing(TempFolder(self._context.settings.TEMP_DIR)) as temp, closing(faces):
            for member in itertools.takewhile(lambda _: not self._context.stop.is_set(), members):
                with suppress(ItemError, OSError):  # it was fine a moment ago: this one tells nothing
                    face = faces.find(faces.decode(self._context.source.fetch(member, temp)))
                    mirrored = np.ascontiguousarray(face.pixels[:, ::-1])
                    found += faces.embedder.embed([dataclasses.replace(face, pixels=mirrored)])
        return found


def without_prepared(plan: Plan, gallery: Gallery) -> Plan:
    """Return the plan without the members whose vector an earlier, interrupted `--migrate` has staged."""
    waiting = gallery.staged()

    def settled(decision: Decision) -> Decision:
        staged = waiting.get(decision.member.crew_id)
        seen = decision.case.photo_record
        if decision.kind not in PROCESSED or staged is None or staged.url != decision.case.url:
            return decision
        if seen is not None and seen.sha256 and seen.sha256 != staged.sha256:
            return decision
        return dataclasses.replace(decision, kind=UNCHANGED, reason="su vector nuevo ya está preparado")

    return dataclasses.replace(plan, decisions=[settled(decision) for decision in plan.decisions])


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
