"""Numbers, lists and durations in the words of the program's Spanish sentences."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import timedelta

ENDINGS = re.compile(r"\[(?:(?P<one>[^|\]]*)\|)?(?P<many>[^\]]*)\]")
SECONDS_PER_MINUTE, SECONDS_PER_HOUR, MINUTES_PER_HOUR = 60, 3600, 60
WHOLE_NUMBER_ENDING = re.compile(r"\.0*$")
SUGGESTED = 3  # ids
ROUNDED_MINUTES = 10  # in an estimate of an hour or more
AGE_IN_HOURS_FROM, AGE_IN_DAYS_AFTER = 2, timedelta(hours=48)


def inflect(number: int, text: str) -> str:
    """Return the text for this number, which stands for `#`. `[s]` is an ending of the plural only; of `[es|son]` the
    first is for one, the second for several: «# persona[s] [está|están]» is «1 persona está» or «2 personas están»."""
    words = ENDINGS.sub(lambda found: (found["one"] or "") if number == 1 else found["many"], text)
    return words.replace("#", str(number))


def say_all(words: Sequence[str]) -> str:
    """Return all words as a list in prose: «a, b y c»."""
    return " y ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def say_some(words: Sequence[str], shown: int) -> str:
    """Return the first words and how many are left out: «a, b y 7 más»."""
    more = len(words) - shown
    return ", ".join(words[:shown]) + (f" y {more} más" if more > 0 else "")


def suggest(wanted: str, texts: Iterable[str]) -> str:
    """Return a question for those texts that a person may have meant, « ¿Quiso decir 000101?», or nothing. They differ
    from `wanted` in case, accents, spaces, zeros before a number, or the decimals of a whole one."""
    bare = _bare(wanted)
    alike = sorted({text for text in texts if text != wanted and _bare(text) == bare})
    return f" ¿Quiso decir {say_some(alike, SUGGESTED)}?" if alike else ""


def _bare(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(char for char in letters if not unicodedata.combining(char) and not char.isspace())
    return WHOLE_NUMBER_ENDING.sub("", plain).lstrip("0")


def say_exactly(seconds: float) -> str:
    """Return a duration that was measured: «12 s», «3 min 05 s», «2 h 10 min»."""
    whole = round(seconds)
    if whole < SECONDS_PER_MINUTE:
        return f"{whole} s"
    if whole < SECONDS_PER_HOUR:
        return f"{whole // SECONDS_PER_MINUTE} min {whole % SECONDS_PER_MINUTE:02} s"
    return f"{whole // SECONDS_PER_HOUR} h {whole % SECONDS_PER_HOUR // SECONDS_PER_MINUTE:02} min"


def say_about(seconds: float) -> str:
    """Return a duration that is estimated: «unos 5 minutos», «unas 2 horas y 10 minutos»."""
    minutes = round(seconds / SECONDS_PER_MINUTE)
    if minutes < 1:
        return "menos de un minuto"
    if minutes < MINUTES_PER_HOUR:
        return "un minuto" if minutes == 1 else f"unos {minutes} minutos"
    hours, rest = divmod(round(minutes / ROUNDED_MINUTES) * ROUNDED_MINUTES, MINUTES_PER_HOUR)
    about = "una hora" if hours == 1 else f"unas {hours} horas"
    return f"{about} y {rest} minutos" if rest else about


def say_age(age: timedelta) -> str:
    """Return how long something has gone on: «menos de un minuto», «119 min», «2 h»."""
    minutes = int(age.total_seconds() // SECONDS_PER_MINUTE)
    hours = minutes // MINUTES_PER_HOUR
    return f"{hours} h" if hours >= AGE_IN_HOURS_FROM else f"{minutes} min" if minutes else "menos de un minuto"


def say_ago(age: timedelta) -> str:
    """Return how long ago something was: «hace 5 min», «hace 3 h», «hace 4 días»."""
    hours = age.total_seconds() / SECONDS_PER_HOUR
    if hours < 1:
        return f"hace {max(0, round(hours * MINUTES_PER_HOUR))} min"
    return f"hace {round(hours)} h" if age <= AGE_IN_DAYS_AFTER else f"hace {age.days} días"
