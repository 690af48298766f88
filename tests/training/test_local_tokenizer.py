"""A run whose vision-language expert is a small SigLIP with a tokenizer in a local folder, from training to export.

The extra `text` is needed: without transformers and sentencepiece, these tests are skipped.
"""

import copy
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import save_file

from lptpp import api
from lptpp.backbones.load import load_backbone
from lptpp.config import Settings
from lptpp.export.options import ExportOptions
from lptpp.export.write import export_run
from lptpp.inference.model import load
from lptpp.utils.errors import UserError

transformers = pytest.importorskip("transformers")
sentencepiece = pytest.importorskip("sentencepiece")
NAME = "Tiny-SigLIP"
LINES = ["a photo of an apple.", "a bear in the wood", "the car is red", "a dog and a bear", "itap of a photo"] * 20
QUICK = ["phase1.epochs=1", "phase2.epochs=1", "phase3.epochs=1", "evaluation.baselines=[zero_shot]"]


@pytest.fixture(scope="module")
def siglip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Register a small SigLIP with open_clip; return a folder with its weights and two tokenizers."""
    folder = tmp_path_factory.mktemp("siglip")
    vocabulary = write_sentencepiece(folder / "sentencepiece")
    write_fast(folder / "fast")
    text = {
        **{"context_length": 16, "vocab_size": vocabulary, "width": 16, "heads": 2, "layers": 1, "pool_type": "last"},
        **{"no_causal_mask": True, "proj_bias": True, "hf_tokenizer_name": f"nobody/{NAME}"},
        "tokenizer_kwargs": {"clean": "canonicalize"},
    }
    vision = {"image_size": 64, "timm_model_name": "test_vit", "timm_pool": "map", "timm_proj": "none"}
    settings = {"embed_dim": 64, "init_logit_bias": -10, "custom_text": True, "vision_cfg": vision, "text_cfg": text}
    (folder / f"{NAME}.json").write_text(json.dumps(settings))
    registry = [open_clip.factory._MODEL_CONFIG_PATHS, open_clip.factory._MODEL_CONFIGS]
    before = [copy.copy(part) for part in registry]
    open_clip.add_model_config(folder / f"{NAME}.json")
    torch.manual_seed(0)
    model = open_clip.create_model(NAME, load_weights=False)
    save_file({key: one.contiguous() for key, one in model.state_dict().items()}, folder / "w.safetensors")
    yield folder
    open_clip.factory._MODEL_CONFIG_PATHS, open_clip.factory._MODEL_CONFIGS = before


def write_sentencepiece(folder: Path) -> int:
    """Train a sentencepiece model as SigLIP's, whose tokenizer is T5's; return the size of its vocabulary."""
    folder.mkdir()
    options = {"vocab_size": 60, "pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1, "minloglevel": 2}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES), model_prefix=str(folder / "spiece"), hard_vocab_limit=False, **options
    )
    settings = {"tokenizer_class": "T5Tokenizer", "pad_token": "<pad>", "eos_token": "</s>", "extra_ids": 0}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return sentencepiece.SentencePieceProcessor(model_file=str(folder / "spiece.model")).vocab_size() + 4


def write_fast(folder: Path) -> None:
    """Write a tokenizer of whole words as transformers does."""
    tokenizers = pytest.importorskip("tokenizers")
    words = {word: number for number, word in enumerate(["<pad>", "</s>", "<unk>", "apple", "bear", "car", "dog"])}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)


@pytest.fixture
def settings(siglip: Path, settings_of: Callable[..., Settings]) -> Callable[..., Settings]:
    backbone = {"name": NAME, "weights": siglip / "w.safetensors", "tokenizer": siglip / "fast"}
    chosen = [f"experts.language.backbone.{key}={value}" for key, value in backbone.items()]
    return lambda folder, *more: settings_of(folder, "use_experts=[language]", *chosen, *QUICK, *more)


@pytest.mark.parametrize("kind", ["sentencepiece", "fast"])
def test_a_local_tokenizer_has_the_ids_of_its_files(siglip: Path, kind: str) -> None:
    backbone = load_backbone("language", NAME, str(siglip / "w.safetensors"), tokenizer=str(siglip / kind))
    ids = backbone.text.tokenizer(["A Bear!", "dog"])
    assert ids.shape == (2, 16)
    if kind == "fast":
        assert ids[:, :2].tolist() == [[2, 4], [6, 0]]  # "a" is not among the words
    else:
        model = sentencepiece.SentencePieceProcessor(model_file=str(siglip / kind / "spiece.model"))
        expected = [*model.encode("a bear"), 1]  # lower case, no punctuation, end of text
        assert ids[0].tolist() == expected + [0] * (16 - len(expected))
    assert backbone.text.class_vectors(["apple", "dog"], ["a {}"]).isfinite().all()


def test_a_run_with_a_local_tokenizer(settings, siglip: Path, tmp_path: Path, pictures: Path, monkeypatch) -> None:
    run = tmp_path / "run"
    metrics = api.fit(settings(run))
    assert {"language.zero_shot", "language.phase1", "language.phase2"} <= set(metrics["rows"])
    again = api.evaluate(run)
    assert again["rows"]["language.zero_shot"] == metrics["rows"]["language.zero_shot"]
    model, image = load(run, "cpu"), next(pictures.rglob("*.png"))
    prediction = model.predict(image)[0]
    assert list(export_run(run, "torch", tmp_path / "torch", ExportOptions([image])))
    assert list(export_run(run, "huggingface", tmp_path / "shared"))
    shutil.rmtree(tmp_path / "run")
    monkeypatch.setitem(sys.modules, "transformers", None)  # predictions need no tokenizer
    assert load(tmp_path / "shared", "cpu").predict(image)[0].label == prediction.label


def test_a_missing_module_is_named_before_anything_is_loaded(settings, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(
        UserError, match=r'The text tower of Tiny-SigLIP requires an extra: run pip install "lptpp\[text'
    ):
        api.fit(settings(tmp_path / "run"))
    assert not (tmp_path / "run" / "checkpoint").exists()
