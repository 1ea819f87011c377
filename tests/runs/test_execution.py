"""A plan carried out: what stays written when the run ends early."""

from __future__ import annotations

import pytest

from app.errors import Stuck, TookTooLong
from tests.conftest import NewHome

MANY = [f"P{number:02}" for number in range(1, 26)]
HANGS, LAST_STRAW = "P02", "P24"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_photos_that_hung_until_the_run_gave_up_are_not_where_the_next_one_begins(new_home: NewHome) -> None:
    """Else a few uploaded photos would keep everybody out for good."""
    home = new_home()
    home.hire(*MANY)

    def hang(stage: str, crew_id: str) -> None:
        if (stage, crew_id) == ("decode", HANGS):
            raise TookTooLong("más de 300 segundos")
        if (stage, crew_id) == ("detect", LAST_STRAW):
            raise Stuck("El programa se quedó colgado con 6 fotos")

    home.loader.hook = hang
    stuck = home.run()
    assert (type(stuck.result.error), stuck.exit_code, stuck.codes[HANGS]) == (Stuck, 3, "took_too_long")
    assert stuck.codes[LAST_STRAW] == "interrupted"
    home.loader.hook = lambda stage, crew_id: None
    after = home.run()
    assert {crew_id for crew_id, code in after.codes.items() if code not in ("stored", "current")} == {HANGS}
    assert after.codes[HANGS] == "took_too_long!"
    assert [row[0] for row in home.active_rows()] == [crew_id for crew_id in MANY if crew_id != HANGS]
    assert home.run(retry_failed=True).codes == {HANGS: "stored"}
