"""Durations as users write them."""

import re

from lptpp.utils.errors import UserError

UNITS = {"h": 3600, "min": 60, "m": 60, "sec": 1, "s": 1}


def parse_time(text: str) -> int:
    """Return the seconds of a duration such as 20m, 1h30m or 90s.

    Raises:
        UserError: `text` is not a duration.
    """
    found = re.findall(rf"(\d+)({'|'.join(UNITS)})", text)
    if not found or "".join(map("".join, found)) != text or not (seconds := sum(int(n) * UNITS[u] for n, u in found)):
        minutes = f"; for minutes, write {int(text)}m" if text.isdecimal() and int(text) else ""
        raise UserError(f"--time {text}: expected a duration such as 20m, 1h30m or 90s{minutes}.")
    return seconds
