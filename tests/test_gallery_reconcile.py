from __future__ import annotations

from app.errors import BadName
from app.gallery.reconcile import split_current
from app.records import SKIPPED_CURRENT, CrewMember, Failed, Skipped

ANA, EVA, LEO = CrewMember("1", "ana.jpg"), CrewMember("2", "eva.jpg"), CrewMember("3", "leo.jpg")
ODD = CrewMember("4", "../x.jpg")
BROKEN = Failed(CrewMember("5", ""), "roster", "no_photo")


def url_of(member: CrewMember) -> str:
    if "/" in member.photo_name:
        raise BadName(member.photo_name)
    return f"http://fotos/{member.crew_id}/{member.photo_name}"


def test_those_whose_photo_is_stored_are_current_and_all_others_are_to_be_done() -> None:
    stored = {"1": "http://fotos/1/ana.jpg", "2": "http://fotos/2/antes.jpg", "9": "http://fotos/9/otra.jpg"}
    assert split_current([ANA, EVA, LEO], stored, url_of) == ([EVA, LEO], [Skipped(ANA, SKIPPED_CURRENT)])


def test_what_failed_before_stays_failed_and_a_bad_name_is_left_to_the_download_to_complain_about() -> None:
    stored = {"4": "http://fotos/4/../x.jpg", "5": "http://fotos/5/"}
    assert split_current([ODD, BROKEN], stored, url_of) == ([ODD, BROKEN], [])


def test_with_nothing_stored_everyone_is_to_be_done_in_the_roster_s_order() -> None:
    assert split_current([LEO, BROKEN, ANA], {}, url_of) == ([LEO, BROKEN, ANA], [])


def test_of_nobody_there_is_nothing_to_do() -> None:
    assert split_current([], {"1": "http://fotos/1/ana.jpg"}, url_of) == ([], [])
