"""Sets of prompts for text towers, by name; `{}` stands for the class name.

`imagenet` (80) and `simple` (7 of them) are those of open_clip. The others are the prompts that CLIP publishes for its
data sets (github.com/openai/CLIP, data/prompts.md), except `animals` and `plants`, which are ours, after their pattern.
"""

from collections.abc import Sequence

from open_clip import OPENAI_IMAGENET_TEMPLATES, SIMPLE_IMAGENET_TEMPLATES

ARTICLES = ("a", "the")
QUALITIES = ("", "blurry ", "black and white ", "low contrast ", "high contrast ", "bad ", "good ")
SIZES = ("small", "big")
TEMPLATES: dict[str, list[str]] = {
    "imagenet": [template("{}") for template in OPENAI_IMAGENET_TEMPLATES],
    "simple": [template("{}") for template in SIMPLE_IMAGENET_TEMPLATES],
    "small_images": [  # CIFAR
        *(f"a {quality}photo of {article} {{}}." for article in ARTICLES for quality in QUALITIES),
        *(f"a photo of {article} {size} {{}}." for article in ARTICLES for size in SIZES),
    ],
    "scenes": [f"a photo of {article} {{}}." for article in ARTICLES],  # SUN397
    "animals": ["a photo of a {}, a type of animal."],
    "birds": ["a photo of a {}, a type of bird."],
    "pets": ["a photo of a {}, a type of pet."],
    "plants": ["a photo of a {}, a type of plant."],
    "flowers": ["a photo of a {}, a type of flower."],
    "food": ["a photo of {}, a type of food."],
    "aircraft": [f"a photo of {article} {{}}, a type of aircraft." for article in ARTICLES],
    "textures": [
        f"a photo of {article} {{}} {what}."
        for article in ARTICLES
        for what in ("texture", "pattern", "thing", "object")
    ],
    "satellite": [f"a centered satellite photo of {article}{{}}." for article in ("", "a ", "the ")],
}


def expanded(templates: Sequence[str]) -> list[str]:
    """Return templates in which the name of a set stands for all of its templates."""
    return [one for template in templates for one in TEMPLATES.get(template, [template])]
