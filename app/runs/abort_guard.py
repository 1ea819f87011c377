"""Stop a run whose outcomes look like the fault of a server, before it harms a good row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from app.errors import ImplausibleRun, PhotoForbidden, PhotoNotFound, PhotoUnavailable, kind_of
from app.records import Failed, Outcome, Photo

PROBATION = 20  # members whose photos the run looks at before it writes anything
MOST = 0.75  # of them
FETCHING_STAGES = ("download", "decode")
LOOKS_LIKE = {
    PhotoNotFound.code: "parece que la dirección de las fotos cambió",
    PhotoForbidden.code: "parece que el servidor de fotos no deja entrar al programa",
    PhotoUnavailable.code: "parece que el servidor de fotos está caído",
}
ADVICE = "Si de verdad es así, repita con --allow-mass-change."
WHAT_TO_DO = {
    PhotoForbidden.code: f"{PhotoForbidden.advice} {ADVICE}",
    PhotoUnavailable.code: "Compruebe el servidor y vuelva a ejecutar.",
}


class AbortGuard:
    """Watches one run. `in_gallery`: members who have a good row; `answered`: the number of photos that the server
    answered about; `known`: codes of earlier failures by crew id. A guard that is not `armed` never stops the run.
    """

    def __init__(self, in_gallery: Collection[str], known: Mapping[str, str], answered: int, *, armed: bool) -> None:
        self._in_gallery = frozenset(in_gallery)
        self._known = known
        self._answered = answered
        self._armed = armed
        self._looked_at: set[str] = set()
        self._embedded: set[str] = set()  # members whose files are counted
        self._codes: Counter[str] = Counter()
        self._files: Counter[str] = Counter()
        self._lost = self._judged = 0  # of the members in the gallery
        self._unavailable_in_a_row = 0
        self._last_detail = ""
        self._cleared = False

    def embedded(self, photo: Photo) -> None:
        """Count a member whose photo was embedded."""
        self._files[photo.sha256] += 1
        self._looked_at.add(photo.member.crew_id)
        self._embedded.add(photo.member.crew_id)

    def is_satisfied(self) -> bool:
        """Tell whether the run may write: it has seen enough photos, or there is no good row to harm. Raises
        ImplausibleRun if the photos are one and the same file."""
        if not self._armed or not self._in_gallery:
            return True
        self._suspect_photos()
        return len(self._looked_at) >= PROBATION

    def saw(self, outcome: Outcome) -> None:
        """Count the outcome of a processed member, unless it failed like this before. Raises ImplausibleRun."""
        if not self._armed or (isinstance(outcome, Failed) and self._known.get(outcome.member.crew_id) == outcome.code):
            return
        known = outcome.member.crew_id in self._in_gallery
        self._looked_at.add(outcome.member.crew_id)
        self._judged += known
        if not isinstance(outcome, Failed):
            self._unavailable_in_a_row = 0
            return
        self._lost += known
        if outcome.stage in FETCHING_STAGES:
            self._codes[outcome.code] += 1
        if outcome.photo is not None and outcome.member.crew_id not in self._embedded:
            self._files[outcome.photo.sha256] += 1
        server_down = outcome.code == PhotoUnavailable.code
        self._unavailable_in_a_row = self._unavailable_in_a_row + 1 if server_down else 0
        self._last_detail = outcome.detail
        self._suspect_server()
        self._suspect_photos()
        self._suspect_losses()  # last: the other errors say why

    def _suspect_server(self) -> None:
        if self._unavailable_in_a_row >= PROBATION:
            last = f" (la última: {self._last_detail})" if self._last_detail else ""
            raise ImplausibleRun(
                f"El servidor de fotos dejó de responder bien: {PROBATION} descargas seguidas fallaron{last}",
                "Compruebe el servidor y vuelva a ejecutar: continuará donde quedó. Si redirige a otro sitio, ponga en "
                "IMAGE_BASE_URL la dirección definitiva.",
            )

    def _suspect_photos(self) -> None:
        looked_at = len(self._looked_at)
        if looked_at < PROBATION or self._cleared:  # cleared once there are twice as many
            return
        self._cleared = looked_at >= 2 * PROBATION
        code, same_way = max(self._codes.items(), key=lambda found: found[1], default=("", 0))
        same_file = max(self._files.values(), default=0)
        if same_file >= MOST * looked_at:
            raise ImplausibleRun(
                f"{same_file} de las primeras {looked_at} fotos son un mismo archivo: parece que el servidor entrega "
                "a todos una página de inicio de sesión o una imagen de relleno",
                f"Abra en un navegador la foto de alguien. {ADVICE}",
            )
        if same_way >= MOST * (looked_at + self._answered):
            raise ImplausibleRun(
                f"{same_way} de las primeras {looked_at} fotos fallan igual ({kind_of(code).title}): "
                f"{LOOKS_LIKE.get(code, 'parece que el servidor no entrega fotos')}",
                WHAT_TO_DO.get(code, f"Compruebe IMAGE_BASE_URL abriendo en un navegador la foto de alguien. {ADVICE}"),
            )

    def _suspect_losses(self) -> None:
        if self._judged >= PROBATION and self._lost >= MOST * (self._judged + self._answered):
            raise ImplausibleRun(
                f"{self._lost} de {self._judged + self._answered} personas que ya tenían un buen embedding fallan "
                "ahora: parece que cambiaron las fotos de todos, o que el programa ya no las lee bien",
                f"Mire algunas de esas fotos. Los embeddings que había siguen como estaban. {ADVICE}",
            )
