"""Numbers and names as a reader wants them."""

import math

from lptpp.evaluation.table import MISSING


def signed(points: float, decimals: int = 1) -> str:
    """Return a number with its sign, a real minus."""
    return f"{points:+.{decimals}f}".replace("-", "−")


def percent(value: float | None, decimals: int = 0) -> str:
    """Return a number of percent with its sign, which no line break parts; "<" where it is not quite zero."""
    if value is None or not math.isfinite(value):
        return MISSING
    least = 10.0**-decimals
    message = f"<{least:.{decimals}f}" if 0 < value < least / 2 else f"{value:.{decimals}f}"
    return f"{message}\u00a0%"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, which takes an s where there is not one: 1 image, 1,200 images."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def shortened(name: str, longest: int) -> str:
    """Return a name cut to `longest` letters, without those that no page may hold."""
    name = "".join(letter if letter.isprintable() else "�" for letter in " ".join(name.split()))
    return name if len(name) <= longest else f"{name[: longest - 1].rstrip()}…"
