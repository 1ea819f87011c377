"""What a user, or a program, reads after one person's data were deleted."""

from __future__ import annotations

from typing import Any

from app.core.text import as_utf8, printable


def forgotten_lines(crew_id: str, vectors: int, rows_left: int) -> list[str]:
    """What was deleted, what is left, and what this program cannot delete."""
    shown = printable(crew_id)
    if rows_left:
        return [f"❌ Quedan {rows_left} filas de {shown}: repita la orden, o revise el permiso DELETE del usuario."]
    if not vectors:
        return [f"No había ningún vector de {shown}. Filas que quedan: 0."]
    plural = "vectores borrados" if vectors > 1 else "vector borrado"
    return [
        f"🗑️  {shown}: {vectors} {plural}, y todo lo que se recordaba de su foto. Filas que quedan: 0.",
        "   Los registros y el último informe pueden nombrarla todavía: vea docs/operations.md.",
    ]


def forgotten_document(crew_id: str, vectors: int, rows_left: int, *, still_active: bool) -> dict[str, Any]:
    """The same, ready to serialise. Its keys are stable."""
    shown = {"crew_id": as_utf8(crew_id), "vectors": vectors, "rows_left": rows_left, "still_active": still_active}
    return {"forgotten": shown}
