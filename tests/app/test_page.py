from html.parser import HTMLParser

from lptpp.app.neighbors import SimilarImage
from lptpp.app.page import cards, style
from lptpp.app.predictions import ClassScore, ExpertPrediction, ImagePrediction, RejectedImage

NASTY = '<script>alert("1")</script> & {{value}} ${value}, ü 😀'


class Words(HTMLParser):
    """The text a reader sees, the tags, and the attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words, self.tags, self.attributes = [], [], []
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_data(self, data):
        self.words.append(data)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes


def prediction(name: str = "cat.png", label: str = "cat", true: str | None = None, experts: int = 2) -> ImagePrediction:
    best = [ClassScore(label, 0.625, 1, "few"), ClassScore("dog", 0.25, 1200, "many")]
    predictions = [
        ExpertPrediction(f"expert {i}", 0.3 + 0.4 * i, best, [2, 19] if i else [], 20 * i) for i in range(experts)
    ]
    similar = [
        SimilarImage("a.png", label, 0.987, "data:image/jpeg;base64,AA=="),
        SimilarImage("b.png", "dog", 0.5, None),
    ]
    return ImagePrediction(name, "data:image/jpeg;base64,AA==", true, best, predictions, similar)


def test_a_card_shows_everything():
    words = Words(cards([prediction(true="dog")]))
    for part in (
        "cat 62.5%",
        "few-shot: 1 training image",
        "many-shot, 1,200 training images",
        "expert 0 weight 0.30",
        "expert 1 weight 0.70",
        "prompt groups 2 , 19 of 20",
        "true class: dog",
        "Similar training images",
        "cat 0.99",
        "dog 0.50",
        "unreadable image",
    ):
        assert part in words.text, part
    assert ("class", "true wrong") in words.attributes
    assert ("style", "width:62.5%") in words.attributes


def test_an_expert_alone_has_no_weight():
    assert "weight" not in Words(cards([prediction(experts=1)])).text


def test_every_name_is_escaped():
    words = Words(cards([prediction(NASTY, NASTY, NASTY), RejectedImage(NASTY, f"cannot be read: {NASTY}.")], NASTY))
    assert "script" not in words.tags
    assert words.text.count(NASTY) >= 5
    assert ("alt", NASTY) in words.attributes


def test_a_rejected_image_keeps_its_place():
    text = Words(
        cards([prediction(), RejectedImage("bad.png", "cannot be read: the file is empty."), prediction("last.png")])
    ).text
    assert "bad.png cannot be read: the file is empty." in text
    assert text.index("cat.png") < text.index("bad.png") < text.index("last.png")


def test_no_image_is_an_empty_page():
    assert Words(cards([])).text == ""
    assert Words(cards([], "A note.")).text == "A note."


def test_the_style_sheet_has_the_colors_of_the_shots():
    assert style().startswith(":root { --many: #004488; --medium: #DDAA33; --few: #BB5566; }\n.predictions {")
    assert "http" not in style()
