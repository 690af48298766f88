"""The settings of a run: every key with its type, default, meaning and allowed values."""

# ruff: noqa: RUF009  (`setting` returns a dataclass field)

from collections.abc import Callable, Collection
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from lptpp.config.choices import (
    BASELINE_NAMES,
    CONTROL_NAMES,
    LOSS_OPTIONS,
    MIX_NAMES,
    READS,
    RESIZE_MODES,
    SAMPLER_NAMES,
    SHARE,
    SOURCE_NAMES,
    TEMPLATE_NAMES,
    VIEW_NAMES,
    Range,
)
from lptpp.config.methods import METHODS
from lptpp.config.validate import check

COUNT = Range(1, 10**6)
LARGE = Range(0, 10**6)
SPLIT_SHARE = Range(0, 0.9)
DROPPED = Range(0, 1, below=True)
OPTIMIZERS = ("sgd", "adamw")


def setting(default: Any, meaning: str, *, choices: Collection[str] = (), within: Range | None = None) -> Any:
    """Return a dataclass field that knows its meaning and its allowed values; None is always allowed.

    Each value of a list must be one of `choices`, which may grow later.
    """
    metadata = {"meaning": meaning, "choices": choices, "within": within}
    if isinstance(default, list):
        return field(default_factory=lambda: deepcopy(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def section(factory: Callable[[], Any], meaning: str = "") -> Any:
    """Return a dataclass field that holds more settings; without a meaning, their docstring is shown."""
    return field(default_factory=factory, metadata={"meaning": meaning, "choices": (), "within": None})


@dataclass
class DataSettings:
    """Where the images come from and how they are split."""

    source: str = setting("folder", "kind of data set", choices=SOURCE_NAMES)
    root: str | None = setting(None, "folder of the images; huggingface: a saved data set, or its name on the Hub")
    class_names: str | None = setting(
        None, "file of class names: one per line in the order of the labels, or a .csv with the columns label and name"
    )
    split_folders: str = setting(
        "auto",
        "folder: auto takes the folders train, val, test and the like as splits; none takes every folder as a class",
        choices=("auto", "none"),
    )
    train_list: str | None = setting(
        None, "list, csv, parquet, inat2018: file of the training split; webdataset: shards; huggingface: split"
    )
    validation_list: str | None = setting(None, "the same for the validation split")
    test_list: str | None = setting(None, "the same for the test split")
    image_column: str | None = setting(
        None, "csv, parquet, huggingface: column of the images; webdataset: member, such as jpg"
    )
    label_column: str | None = setting(
        None, "csv, parquet, huggingface: column of the labels; webdataset: member, such as cls, or a key of json"
    )
    label_columns: list[str] = setting(
        [], "csv, parquet: columns of a table with one column of 0 and 1 per class, instead of `label_column`"
    )
    split_column: str | None = setting(
        None,
        "csv, parquet: column with train, val or test; null: a column called split, set, fold or the like; none: none",
    )
    factor: float | None = setting(
        None,
        "subsample the training split to this imbalance factor; null: keep it as it is, CIFAR: 100",
        within=Range(1, 10**9),
    )
    profile: str = setting(
        "exponential", "how class counts fall when subsampling to `factor`", choices=("exponential", "step")
    )
    validation: float = setting(
        0.0, "fraction of each training class drawn for validation, never its last image", within=SPLIT_SHARE
    )
    test: float = setting(
        0.2, "fraction of each class drawn for testing if the source has no test split", within=SPLIT_SHARE
    )
    split_seed: int = setting(0, "seed of the validation and test draws")
    on_error: str = setting(
        "stop",
        "an unreadable image, looked for during a few seconds before training and found as images are used; stop: name"
        " it and exit; skip: check all images before training, exclude the unreadable ones, list them in skipped.csv",
        choices=("stop", "skip"),
    )
    resize: str | None = setting(
        None,
        "how an image becomes the input of all experts, in training and evaluation: crop (cut off the ends of the"
        " longer side), squash, or pad with the mean color; overrides experts.NAME.backbone.resize; null:"
        " as that, else as the backbone was trained",
        choices=RESIZE_MODES,
    )
    largest_megapixels: float = setting(
        50.0, "an image of which more megapixels have to be decoded counts as unreadable", within=Range(0.001, 10**6)
    )
    white_level: float | None = setting(
        None,
        "value of white in images of more than 8 bits, such as 4095; null: as the file states, else guessed, with a"
        " warning",
        within=Range(0.001, 10**12),
    )
    memory_gb: float = setting(2.0, "memory for caching decoded images, in gigabytes", within=Range(0, 10**6))


@dataclass
class AugmentationSettings:
    """Random changes to training images; evaluation applies none of them."""

    smallest_crop: float = setting(
        0.5, "smallest fraction of the area that a random crop keeps; 1: no random crop", within=Range(0.01, 1)
    )
    flip: bool = setting(True, "mirror images at random; false if mirroring changes their meaning, as with letters")
    color: float = setting(0.0, "strength of brightness, contrast and saturation jitter", within=SHARE)
    cached_views: int = setting(
        0,
        "random crops per image that the stem of a hybrid backbone processes once; 0: a new crop each time",
        within=Range(0, 1000),
    )


@dataclass
class BackboneSettings:
    """The frozen tower of an expert: a ViT, or any model for an expert without prompts (docs/backbones.md)."""

    kind: str = setting("vision", "vision (timm) or language (open_clip)", choices=("vision", "language"))
    name: str = setting(
        "vision_lite2",
        "bundled: vision_lite2 or clip_lite0; otherwise the exact name of a timm or open_clip model; `lptpp backbones`"
        " lists them",
    )
    weights: str | None = setting(None, "language: pretrained tag; both kinds: a local .safetensors file")
    revision: str | None = setting(
        None,
        "commit, tag or branch of the weights at the hub; null: the cached one, else the newest. The run records the"
        " commit and keeps it",
    )
    tokenizer: str | None = setting(None, "language: local folder with the files of the tokenizer; null: the model's")
    image_size: int | None = setting(None, "image size in pixels; null: the backbone's own", within=Range(8, 4096))
    resize: str | None = setting(
        None,
        "as data.resize, which overrides it, but for this expert and in evaluation only, before the center crop of"
        " `crop_share`; null: as the backbone was trained",
        choices=RESIZE_MODES,
    )
    crop_share: float | None = setting(
        None,
        "evaluation: image size divided by the size before the center crop, such as 0.875 for 224 of 256; null: as the"
        " backbone was trained; 1 with data.resize=squash or pad",
        within=Range(0.1, 1),
    )


@dataclass
class ExpertSettings:
    """One expert: its backbone and the sizes of its parts; 0 removes a part."""

    backbone: BackboneSettings = section(BackboneSettings)
    shared_prompts: int = setting(10, "shared prompts P per block", within=Range(0, 1000))
    adapter_width: int = setting(4, "bottleneck width r of the adapters", within=Range(0, 10_000))
    adapter_scale: float = setting(0.1, "scale s of the adapters", within=Range(-1000, 1000))
    stem_adapter_width: int = setting(
        0,
        "bottleneck width of adapters in the convolutional stem of a hybrid backbone, such as the bundled ones; an"
        " epoch of phase 1 then takes two to four times as long; requires augmentation.cached_views=0",
        within=Range(0, 10_000),
    )
    group_prompts: int = setting(10, "prompts P per group, for each of the last K blocks", within=Range(0, 1000))
    num_groups: int = setting(20, "number of groups m", within=Range(1, 10_000))
    top_k: int = setting(2, "groups that each image uses", within=Range(1, 10_000))
    group_blocks: int = setting(6, "number K of last blocks with group prompts", within=Range(1, 1000))
    keys: str = setting(
        "random", "initial keys of the groups: random, or kmeans of the training images", choices=("random", "kmeans")
    )
    head: str = setting("class_means", "initial weights of the classifier", choices=("class_means", "text", "random"))
    mean_images: str = setting(
        "0",
        "head=class_means: training images per class, drawn at random, that are averaged; 0: all; auto: all of at most"
        " 20,000 training images, otherwise about 1,000 in total, the same number of each class and at least one",
    )
    templates: list[str] = setting(
        ["a photo of a {}."],
        "prompts of the text tower; {} is replaced by the class name. Sets by name: " + ", ".join(TEMPLATE_NAMES),
    )
    scale: float = setting(20.0, "scale s in softmax(s · cosines)", within=Range(0.001, 1000))
    learning_rate_factor: float = setting(1.0, "factor on the learning rates of phases 1 and 2", within=LARGE)
    tune_backbone: bool = setting(False, "train all weights of the backbone (full fine-tuning, a baseline)")


@dataclass
class LossSettings:
    """A loss and its options (see docs/method.md)."""

    name: str = setting("a_gcl", "which loss", choices=LOSS_OPTIONS)
    options: dict[str, float] = section(dict, "options of the loss, such as tau: 1.2; the others keep their defaults")


@dataclass
class StreamSettings:
    """One stream of batches: its sampler, its loss, and its weight."""

    sampler: str = setting("class_balanced", "how images are drawn", choices=SAMPLER_NAMES)
    loss: LossSettings = section(LossSettings)
    weight: float = setting(
        1.0,
        "weight of the loss; that of a dual stream decreases linearly over the epochs, and 0 disables it",
        within=LARGE,
    )


def _main() -> StreamSettings:
    return StreamSettings(loss=LossSettings(options={"positive_focus": 0.0, "negative_focus": 4.0}))


def _dual() -> StreamSettings:
    focus = {"positive_focus": 0.5, "negative_focus": 8.0}
    return StreamSettings("instance_balanced", LossSettings(options=focus), 0.5)


@dataclass
class PhaseSettings:
    """Phase 1 or 2 of every expert; by default with the dual sampling of LPT (docs/method.md)."""

    epochs: int = setting(10, "number of epochs; each draws as many images as the training split has", within=COUNT)
    batch_size: int = setting(128, "images per stream and step", within=COUNT)
    optimizer: str = setting("sgd", "which optimizer", choices=OPTIMIZERS)
    learning_rate: float = setting(
        0.02, "learning rate for a batch of 256; scales linearly with the batch size", within=LARGE
    )
    weight_decay: float = setting(0.01, "weight decay of the optimizer", within=LARGE)
    warmup_epochs: float = setting(1.0, "epochs of warm-up, may be a fraction; cosine decay to 0 follows", within=LARGE)
    warmup_rate: float | None = setting(
        None, "constant learning rate of the warm-up, for a batch of 256; null: a linear rise", within=LARGE
    )
    dropout: float = setting(
        0.0, "probability that training zeroes an entry of the feature before the classifier", within=DROPPED
    )
    gradient_checkpointing: bool = setting(
        False, "compute the activations of the blocks again in the backward pass: less memory, about a third more time"
    )
    main: StreamSettings = section(_main, "the main stream of batches.")
    dual: StreamSettings = section(_dual, "the second stream of batches (dual sampling).")
    key_weight: float = setting(0.5, "weight of the key-matching term, phase 2", within=LARGE)


@dataclass
class ScorerSettings:
    """Phase 3: the scorer, trained on the experts' outputs, which are computed once."""

    epochs: int = setting(5, "number of epochs; each draws as many outputs as there are, over all views", within=COUNT)
    batch_size: int = setting(256, "outputs per step", within=COUNT)
    optimizer: str = setting("adamw", "which optimizer", choices=OPTIMIZERS)
    learning_rate: float = setting(
        0.0002, "learning rate for a batch of 256; low, because experts are overconfident on training images",
        within=LARGE,
    )  # fmt: skip
    weight_decay: float = setting(0.01, "weight decay of the optimizer", within=LARGE)
    warmup_epochs: float = setting(1.0, "as in phases 1 and 2", within=LARGE)
    sampler: str = setting("class_balanced", "how outputs are drawn", choices=SAMPLER_NAMES)
    hidden: int = setting(64, "width of the hidden layer", within=Range(1, 100_000))
    views: int = setting(
        4, "augmented views of each training image; 0: the image as in evaluation", within=Range(0, 1000)
    )
    held_back: float = setting(
        0.0,
        "fraction of each training class that only the scorer is trained on, never its last image",
        within=SPLIT_SHARE,
    )
    folds: int = setting(
        0,
        "train the scorer on cross-fitted outputs: those of experts trained on all folds but the image's own; 0: off",
        within=Range(0, 1000),
    )
    check: float = setting(
        0.0,
        "fraction of the scorer's images of each class that select the epoch; 0: keep the last epoch",
        within=SPLIT_SHARE,
    )
    reads: str = setting("features", "inputs of the scorer", choices=READS)
    mixes: str = setting("probabilities", "what the scorer weights average", choices=MIX_NAMES)


@dataclass
class EvaluationSettings:
    """The tables at the end of a run."""

    split: str = setting(
        "test", "split to evaluate; validation while settings are being chosen", choices=("test", "validation")
    )
    shot_thresholds: list[int] = setting(
        [20, 100], "training images per class: few-shot < 20 <= medium-shot <= 100 < many-shot"
    )
    balanced: int = setting(
        0,
        "also evaluate on a balanced subset, with this many test images of every class that has as many; 0: off",
        within=Range(0, 10**9),
    )
    batch_size: int = setting(64, "images per forward pass; small is fastest on a CPU, large on a GPU", within=COUNT)
    baselines: list[str] = setting(
        ["zero_shot", "linear_probe", "balanced_probe"],
        "extra rows of the table (docs/method.md); joint_*: on the features of all towers together",
        choices=BASELINE_NAMES,
    )
    controls: list[str] = setting(
        [],
        "control rows (docs/method.md): phase 2 with random groups, none, or the mean of all instead of the selected"
        " ones; own: the phase-2 row, which is always there; mixing: mixtures without a scorer",
        choices=CONTROL_NAMES,
    )
    each_epoch: bool = setting(False, "also evaluate the validation split after every epoch, for curves")
    keep: str = setting(
        "last",
        "which epoch each phase ends with: last, or best (in mean class accuracy on the validation split); set before"
        " training",
        choices=("last", "best"),
    )
    views: str = setting(
        "one", "views to average at test time, as an extra row (docs/predict.md, as all below)", choices=VIEW_NAMES
    )
    prior: str | None = setting(
        None,
        "expected class frequencies, as an extra row: uniform, training, estimated (from the evaluated images, without"
        " their labels), or a .csv or .json file",
    )
    assumed: str = setting(
        "auto", "class frequencies that the scores assume: auto (from sampler and loss), or as `prior`"
    )
    temperature: str = setting(
        "1", "a number above 0, or fitted (on the validation split): an extra row with scaled probabilities"
    )
    escape_formulas: bool = setting(
        True,
        "in the CSV files, an apostrophe before names that a spreadsheet would take for formulas (docs/report.md)",
    )


@dataclass
class Settings:
    """All settings of a run."""

    run: str = setting("runs/run", "run folder; holds everything that the run writes")
    method: str = setting("lptpp", "which parts are used (docs/method.md)", choices=METHODS)
    use_experts: list[str] = setting([], "names of the experts to use; empty: those of the method")
    seed: int = setting(0, "seed of all random draws in training")
    device: str = setting("auto", "where to compute", choices=("auto", "cpu", "cuda", "mps"))
    precision: str = setting("auto", "auto: bf16 if it is faster on this machine", choices=("auto", "float32", "bf16"))
    tower_precision: str = setting(
        "auto",
        "how frozen backbones are stored in memory; auto: bf16 on a GPU that computes in bf16, with equal results",
        choices=("auto", "float32"),
    )
    shards: int = setting(
        1,
        "pieces of each batch of phases 1 and 2, with a noise of their own: any number of processes that divides it"
        " gives the same result (docs/scale.md)",
        within=Range(1, 100_000),
    )
    workers: str = setting(
        "auto",
        "data loader processes, a number up to 1,000; affects speed, never results; auto: on a GPU the cores of each"
        " process but one, up to 16, none for small data; on the CPU none",
    )
    tracker: str = setting("none", "live training curves (docs/tracking.md)", choices=("none", "tensorboard", "wandb"))
    track_every: int = setting(
        10, "steps between two lines of history.jsonl and two points of a tracker", within=Range(1, 10**9)
    )
    keep_checkpoints: int = setting(
        2, "checkpoints to keep; an older one is used if the last is damaged", within=Range(1, 1000)
    )
    checkpoint_minutes: float = setting(
        5.0, "save at least this often within an epoch: a power cut loses no more training", within=Range(0, 10_000)
    )
    data: DataSettings = section(DataSettings)
    augmentation: AugmentationSettings = section(AugmentationSettings)
    experts: dict[str, ExpertSettings] = section(dict, "experts by name; empty: visual and language, both bundled")
    phase1: PhaseSettings = section(PhaseSettings, "phase 1: shared prompts, adapters and classifier.")
    phase2: PhaseSettings = section(PhaseSettings, "phase 2: group prompts, keys and classifier.")
    phase3: ScorerSettings = section(ScorerSettings)
    evaluation: EvaluationSettings = section(EvaluationSettings)

    def __post_init__(self) -> None:
        check(self)


def default_experts() -> dict[str, ExpertSettings]:
    """Return the two experts of LPT++ on the bundled towers."""
    language = BackboneSettings(kind="language", name="clip_lite0")
    return {"visual": ExpertSettings(), "language": ExpertSettings(backbone=language, head="text")}
