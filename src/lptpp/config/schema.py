"""The settings of a run: every key, its type and its default."""

from dataclasses import dataclass, field

from lptpp.config.validate import check


@dataclass
class DataSettings:
    """Where the pictures come from and how they are split."""

    source: str = "folder"  # or emoji, list, csv, parquet, huggingface, webdataset, inat2018, cifar10_lt, cifar100_lt
    root: str | None = None  # folder of the pictures; huggingface: a saved data set, or its name at the hub
    class_names: str | None = None  # a file of names, one a line, in the order of the labels
    train_list: str | None = None  # list, csv, parquet, inat2018: a file; webdataset: shards; huggingface: a split
    validation_list: str | None = None  # the same for the validation part
    test_list: str | None = None  # the same for the test part
    image_column: str | None = None  # csv, parquet, huggingface: the pictures; webdataset: a member such as jpg
    label_column: str | None = None  # the same for the labels; webdataset: a member such as cls, or a key of json
    split_column: str | None = None  # csv, parquet: says train, val or test; one called split by default; or none
    factor: float | None = None  # draw the training part down to this imbalance factor; null = leave it, CIFAR: 100
    profile: str = "exponential"  # how the class counts fall then: exponential or step
    validation: float = 0.0  # share of each training class drawn for validation, never its last image
    test: float = 0.2  # share drawn for the test part where the source has none
    split_seed: int = 0  # the draw of validation and test follows from it alone
    on_error: str = "stop"  # stop names all unreadable images; skip leaves them out and lists them in skipped.csv
    largest_megapixels: float = 25.0  # a larger picture counts as unreadable
    memory_gb: float = 2.0  # decoded pictures kept in memory up to this


@dataclass
class AugmentationSettings:
    """What training does to a picture; evaluation does none of it."""

    smallest_crop: float = 0.5  # smallest share of the area a random crop keeps; 1 = no random crop
    flip: bool = True  # mirror half of the pictures; false where that changes what they show, as with letters
    color: float = 0.0  # strength of brightness, contrast and saturation jitter
    cached_views: int = 0  # crops of each picture that a hybrid's stem sees, once; 0 = a new crop each time


@dataclass
class BackboneSettings:
    """Which frozen ViT an expert stands on."""

    kind: str = "vision"  # vision (timm) or language (open_clip)
    name: str = "vision_lite2"  # bundled: vision_lite2, clip_lite0; or any exact timm / open_clip name
    weights: str | None = None  # language: pretrained tag; both: a local .safetensors file
    image_size: int | None = None  # pixels; the backbone's own by default


@dataclass
class ExpertSettings:
    """One expert: its backbone and the sizes of its parts, each removed by 0."""

    backbone: BackboneSettings = field(default_factory=BackboneSettings)
    shared_prompts: int = 10  # P, for each block
    adapter_width: int = 4  # bottleneck r of the adapters
    adapter_scale: float = 0.1  # s
    group_prompts: int = 10  # P of each group, for each of the last blocks
    num_groups: int = 20  # m groups
    top_k: int = 2  # k groups an image uses
    group_blocks: int = 6  # K last blocks
    head: str = "class_means"  # what the classifier starts from: class_means, text, random
    templates: list[str] = field(default_factory=lambda: ["a photo of a {}."])  # for head: text
    scale: float = 20.0  # s of softmax(s · cosines)
    learning_rate_factor: float = 1.0  # on the learning rates of phases 1 and 2
    tune_backbone: bool = False  # full fine-tuning: a baseline


@dataclass
class LossSettings:
    """A loss by name, with options of its own (see docs/method.md)."""

    name: str = "a_gcl"  # a_gcl, gcl, cross_entropy, logit_adjustment, ldam, focal, class_balanced
    options: dict[str, float] = field(default_factory=dict)  # such as tau: 1.2; those left out keep their defaults


@dataclass
class StreamSettings:
    """One stream of batches: how images are drawn, what they are judged by, how much that counts."""

    sampler: str = "class_balanced"  # class_balanced, instance_balanced, square_root, effective_number
    loss: LossSettings = field(default_factory=LossSettings)
    weight: float = 1.0  # of its loss; that of a dual stream falls linearly over the epochs; 0 = no dual stream


@dataclass
class PhaseSettings:
    """Phase 1 or 2 of every expert."""

    epochs: int = 10  # each draws as many pictures as the training part holds
    batch_size: int = 128  # pictures of one stream in a step
    optimizer: str = "sgd"  # sgd, adamw
    learning_rate: float = 0.02  # at a batch of 256; scales with the batch
    weight_decay: float = 0.01  # as the optimizer takes it
    warmup_epochs: float = 1.0  # the rate rises over these, may be 0.1, then falls to 0 along a cosine
    main: StreamSettings = field(default_factory=StreamSettings)  # what the phase learns from
    dual: StreamSettings = field(default_factory=lambda: StreamSettings("instance_balanced", weight=0.0))  # beside it
    key_weight: float = 0.5  # of the key-matching term, phase 2


@dataclass
class ScorerSettings:
    """Phase 3: the scorer, on the experts' outputs computed once."""

    epochs: int = 5  # each draws as many outputs as there are, of all views
    batch_size: int = 256  # outputs in a step
    optimizer: str = "adamw"  # sgd, adamw
    learning_rate: float = 0.0002  # gentle: the experts are surer of training images than they should be
    weight_decay: float = 0.01  # as the optimizer takes it
    warmup_epochs: float = 1.0  # as in phases 1 and 2
    sampler: str = "class_balanced"  # as those of the streams
    hidden: int = 256  # width of its hidden layer
    views: int = 4  # augmented views of each training image; 0 = the image as evaluation sees it
    held_back: float = 0.0  # share of each training class that only the scorer learns from, never its last image
    reads: str = "features"  # what the scorer sees of an image: features, logits, both
    mixes: str = "probabilities"  # what the weights are laid on: probabilities, logits


@dataclass
class EvaluationSettings:
    """What the tables at the end are made of."""

    split: str = "test"  # test, or validation while settings are being chosen
    shot_thresholds: list[int] = field(default_factory=lambda: [20, 100])  # few < 20 <= medium <= 100 < many
    balanced: int = 0  # also print the table on this many test pictures of every class that has as many; 0 = off
    batch_size: int = 64  # pictures judged at once; a CPU is quickest with few, a GPU with many that fit in its memory
    baselines: list[str] = field(default_factory=lambda: ["zero_shot", "linear_probe"])  # extra rows of the table
    each_epoch: bool = False  # also measure the validation part after every epoch, for curves
    views: str = "one"  # one, flip, five_crops: their mean as an extra row (docs/predict.md, as all below)
    prior: str | None = None  # uniform, training, a .csv or .json file: an extra row for these class frequencies
    assumed: str = "auto"  # what the scores assume of them: auto (from sampler and loss), or as prior
    temperature: str = "1"  # a number, or fitted (on the validation part): an extra row with softer probabilities


def _phase2() -> PhaseSettings:
    balanced = LossSettings(options={"positive_focus": 0.0, "negative_focus": 4.0})
    natural = LossSettings(options={"positive_focus": 0.5, "negative_focus": 8.0})
    return PhaseSettings(
        main=StreamSettings("class_balanced", balanced),
        dual=StreamSettings("instance_balanced", natural, 0.5),
    )


@dataclass
class Settings:
    """All settings of a run."""

    run: str = "runs/run"  # the folder that will hold everything
    method: str = "lptpp"  # lptpp, lpt, linear_probe, vpt_deep, adaptformer, full
    use_experts: list[str] = field(default_factory=list)  # names of experts; empty = those the method uses
    seed: int = 0  # every draw, crop and noise of training follows from it
    device: str = "auto"  # auto, cpu, cuda, mps
    precision: str = "auto"  # auto (bf16 where the machine is faster in it), float32, bf16
    workers: int = 0  # loader processes; changes speed, never results
    tracker: str = "none"  # none, tensorboard, wandb: curves while it trains (docs/tracking.md)
    track_every: int = 10  # steps between two lines of history.jsonl, and two points of a tracker
    data: DataSettings = field(default_factory=DataSettings)
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)
    experts: dict[str, ExpertSettings] = field(default_factory=dict)  # by name; empty = visual and language, bundled
    phase1: PhaseSettings = field(default_factory=PhaseSettings)
    phase2: PhaseSettings = field(default_factory=_phase2)
    phase3: ScorerSettings = field(default_factory=ScorerSettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)

    def __post_init__(self) -> None:
        check(self)


def default_experts() -> dict[str, ExpertSettings]:
    """Return the two experts of LPT++ on the bundled towers."""
    language = BackboneSettings(kind="language", name="clip_lite0")
    return {"visual": ExpertSettings(), "language": ExpertSettings(backbone=language, head="text")}
