"""Figures as inline SVG: ids unique on the page, no fixed size, a tooltip on every marker."""

import io
import warnings
from xml.etree import ElementTree

from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from lptpp.report.section import Plot

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
HREF = f"{{{XLINK}}}href"
ElementTree.register_namespace("", SVG)
ElementTree.register_namespace("xlink", XLINK)


def inline(plot: Plot, name: str) -> Markup:
    """Return the figure of a plot as an SVG element; `name` prefixes its ids."""
    root = ElementTree.fromstring(_drawn(plot.figure))
    for gid, texts in plot.tooltips.items():
        _add_tooltips(root, gid, texts)
    _rename(root, name)
    for part in [child for child in root if child.tag.endswith("metadata")]:
        root.remove(part)
    for definitions in root.findall(f"{{{SVG}}}defs"):
        for sheet in definitions.findall(f"{{{SVG}}}style"):  # it would apply to the whole page
            definitions.remove(sheet)
    width = root.attrib.pop("width").removesuffix("pt")
    del root.attrib["height"]
    root.attrib |= {"role": "img", "aria-label": plot.title, "style": f"max-width:{float(width) * 1.15:.0f}pt"}
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _drawn(figure: Figure) -> bytes:
    written = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # the browser draws the text
        _arrange(figure)
        figure.savefig(written, format="svg", dpi=160, metadata={"Date": None})
    return written.getvalue()


def _arrange(figure: Figure) -> None:
    """Lay out a figure as it will be in the SVG; `savefig` would draw it once more for any layout engine."""
    if (layout := figure.get_layout_engine()) is not None:
        FigureCanvasSVG(figure)
        figure.dpi = 72  # of every SVG
        layout.execute(figure)
        figure.set_layout_engine(None)


def _add_tooltips(root: ElementTree.Element, gid: str, texts: list[str]) -> None:
    group = next(element for element in root.iter(f"{{{SVG}}}g") if element.get("id") == gid)
    for mark, text in zip(group.iter(f"{{{SVG}}}use"), texts, strict=True):
        ElementTree.SubElement(mark, f"{{{SVG}}}title").text = text


def _rename(root: ElementTree.Element, name: str) -> None:
    for element in root.iter():
        if "id" in element.attrib:
            element.set("id", f"{name}-{element.get('id')}")
        if element.get(HREF, "").startswith("#"):
            element.set(HREF, f"#{name}-{element.get(HREF, '')[1:]}")
        for key in ("clip-path", "style"):
            if "url(#" in element.get(key, ""):
                element.set(key, element.get(key, "").replace("url(#", f"url(#{name}-"))
