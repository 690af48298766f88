"""Text towers and their tokenizers."""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import open_clip
import torch
from open_clip.tokenizer import HFTokenizer

from lptpp.backbones.hub import fetch_tokenizer
from lptpp.backbones.templates import expanded
from lptpp.backbones.weights import downloading
from lptpp.utils.errors import UserError
from lptpp.utils.extras import extra

TEXTS = 256  # texts encoded at once
Tokenizer = Callable[[list[str]], torch.Tensor]


class TextTower:
    """A frozen text tower and its tokenizer.

    `logit_scale` and, for SigLIP, `logit_bias` turn cosines into the logits that the tower was trained with.
    """

    def __init__(self, model: Any, tokenizer: Tokenizer) -> None:
        self.model = model.float().eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.logit_scale = float(model.logit_scale.exp())
        bias = getattr(model, "logit_bias", None)
        self.logit_bias = None if bias is None else float(bias)

    def class_vectors(self, names: Sequence[str], templates: Sequence[str]) -> torch.Tensor:
        """Return a unit vector (C, F) for each class: the mean over templates of the unit text features (CLIP).

        A template may also be the name of a set (`lptpp.backbones.templates`).

        Raises:
            UserError: a template has no `{}`.
        """
        whole = expanded(templates)
        for template in whole:
            if "{}" not in template:
                raise UserError(f"Template {template!r} has no {{}} in place of the class name: add it.")
        vectors = open_clip.build_zero_shot_classifier(
            self.model,
            self.tokenizer,
            [name.replace("_", " ") for name in names],
            [partial(template.replace, "{}") for template in whole],  # `format` would fail on other braces
            num_classes_per_batch=max(TEXTS // len(whole), 1),
        )  # (F, C)
        return vectors.T.contiguous()

    def probabilities(self, cosines: torch.Tensor) -> torch.Tensor:
        """Return zero-shot probabilities (n, C) for cosines (n, C): softmax(scale · cos), which is CLIP's.

        SigLIP gives every class a probability of its own, sigmoid(scale · cos + bias): rows do not sum to 1.
        """
        logits = self.logit_scale * cosines
        return logits.softmax(-1) if self.logit_bias is None else (logits + self.logit_bias).sigmoid()


def text_settings(name: str) -> dict[str, Any]:
    """Return the settings of the text tower of an open_clip model."""
    return (open_clip.get_model_config(name) or {}).get("text_cfg", {})


def check_text_modules(name: str, tokenizer: str | None = None) -> None:
    """Raise `UserError` if the text tower or the tokenizer of an open_clip model needs a module that is missing."""
    text = text_settings(name)
    if tokenizer is not None or text.get("hf_tokenizer_name") or text.get("hf_model_name"):
        extra("transformers", "text", f"The text tower of {name}")


@cache
def simple_tokenizer(context_length: int) -> open_clip.SimpleTokenizer:
    """Return open_clip's byte-pair tokenizer, which needs no download."""
    return open_clip.SimpleTokenizer(context_length=context_length)


def late_tokenizer(name: str, folder: str | None = None) -> Tokenizer:
    """Return the tokenizer of `load_tokenizer`, loaded when the first text is encoded: predictions never need it."""

    @cache
    def loaded() -> Tokenizer:
        return load_tokenizer(name, folder)

    return lambda texts: loaded()(texts)


def load_tokenizer(name: str, folder: str | None = None) -> Tokenizer:
    """Return the tokenizer of an open_clip model, from a local `folder` or from the hub.

    Raises:
        UserError: a module is missing, or the files cannot be downloaded or read.
    """
    check_text_modules(name, folder)
    text = text_settings(name)
    repository = text.get("hf_tokenizer_name")
    if folder is None and not repository:
        return open_clip.get_tokenizer(name)  # byte pairs, which open_clip ships
    if folder is None:
        advice = "set backbone.tokenizer to a local folder with its files"
        with downloading(f"the tokenizer of {name}", advice):
            folder = str(fetch_tokenizer(str(repository)))
    try:
        return HFTokenizer(
            folder,
            context_length=text.get("context_length", open_clip.tokenizer.DEFAULT_CONTEXT_LENGTH),
            tokenizer_mode=text.get("tokenizer_mode"),
            local_files_only=True,
            **text.get("tokenizer_kwargs", {}),
        )
    except Exception as error:  # whatever transformers raises, a missing sentencepiece included
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"The tokenizer of {name} in {folder} cannot be read ({type(error).__name__}: {reason}): set"
            ' backbone.tokenizer to a folder with its files; some need pip install "lptpp[text]".'
        ) from error
