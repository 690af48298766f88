"""From answers to HTML; every text is escaped."""

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from lptpp.app.predictions import Answered, Refused
from lptpp.report.style import COLOURS
from lptpp.report.text import counted, percent, shortened


def cards(answers: Sequence[Answered | Refused], note: str = "") -> str:
    """Return a card for each picture, in order, after a note on all of them."""
    loader = PackageLoader("lptpp.app", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"percent": percent, "counted": counted, "shortened": shortened}
    template = environment.get_template("cards.html")
    return template.render(answers=answers, note=note)


def style() -> str:
    """Return the style sheet of the cards, with the colours of the shots."""
    source = PackageLoader("lptpp.app", "templates").get_source(Environment(), "cards.css")[0]
    colours = "".join(f"--{shot}: {colour}; " for shot, colour in COLOURS.items())
    return f":root {{ {colours}}}\n{source}"
