"""From answers to HTML; every text is escaped."""

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from lptpp.app.predictions import PicturePrediction, Refused
from lptpp.report.style import COLORS
from lptpp.report.text import counted, percent, shortened


def cards(predictions: Sequence[PicturePrediction | Refused], note: str = "") -> str:
    """Return a card for each picture, in order, after a note on all of them."""
    loader = PackageLoader("lptpp.app", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"percent": percent, "counted": counted, "shortened": shortened}
    template = environment.get_template("cards.html")
    return template.render(predictions=predictions, note=note)


def style() -> str:
    """Return the style sheet of the cards, with the colors of the shots."""
    source = PackageLoader("lptpp.app", "templates").get_source(Environment(), "cards.css")[0]
    colors = "".join(f"--{shot}: {color}; " for shot, color in COLORS.items())
    return f":root {{ {colors}}}\n{source}"
