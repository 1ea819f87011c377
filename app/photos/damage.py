"""Whether a file came as it was sent: its bytes come in; what is cut, has gaps or was taken for text is refused."""

from __future__ import annotations

DAMAGED = "los datos están dañados o incompletos; suba otra vez el archivo original"


def refuse_damaged(content: bytes, kind: str) -> None:
    """Raises InvalidImage for damage that the format's decoder does not mind."""
