"""Formatting of numbers and names, and the templates that use it."""

import math

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from lptpp.evaluation.intervals import interval
from lptpp.evaluation.table import MISSING
from lptpp.utils.text import counted


def signed(points: float, decimals: int = 1) -> str:
    """Return a number with its sign, using a typographic minus."""
    return f"{points:+.{decimals}f}".replace("-", "−")


def percent(value: float | None, decimals: int = 0) -> str:
    """Return a percentage; "<" if it is positive but rounds to zero."""
    if value is None or not math.isfinite(value):
        return MISSING
    least = 10.0**-decimals
    text = f"<{least:.{decimals}f}" if 0 < value < least / 2 else f"{value:.{decimals}f}"
    return f"{text}%"


def interval_text(accuracy: float, images: int) -> str:
    """Return the 95% interval of an accuracy (percent) measured on `images` > 0 images, such as 93.2 to 100.0%."""
    low, high = interval(accuracy, images)
    return f"{low:.1f} to {percent(high, 1)}"


def shortened(name: str, longest: int) -> str:
    """Return a name of at most `longest` characters, with unprintable ones replaced."""
    name = "".join(letter if letter.isprintable() else "�" for letter in " ".join(name.split()))
    return name if len(name) <= longest else f"{name[: longest - 1].rstrip()}…"


def breakable(name: str) -> Markup:
    """Return a name as HTML that a browser may break after underscores, rather than within a word."""
    return escape(name).replace("_", Markup("_<wbr>"))


def templates(package: str) -> Environment:
    """Return the templates in `templates/` of a package; they escape every value and can use the filters above."""
    environment = Environment(
        loader=PackageLoader(package, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "counted": counted, "shortened": shortened, "breakable": breakable}
    return environment
