"""What settings may name, as plain data: importing it needs none of the code that the names stand for.

`lptpp.losses`, `lptpp.samplers` and `lptpp.data.sources` have the code under the same names; registering a new one
there adds its name here (docs/extending.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from lptpp.utils.errors import UserError, did_you_mean


@dataclass(frozen=True)
class Range:
    """The finite numbers from `least` to `most`; without `most` itself if `below`."""

    least: float = -inf
    most: float = inf
    below: bool = False

    def __contains__(self, value: float) -> bool:
        return -inf < value < inf and self.least <= value and (value < self.most if self.below else value <= self.most)

    def __str__(self) -> str:
        if (self.least, self.most) == (-inf, inf):
            return "a number"
        if self.below:
            return f"at least {self.least} and less than {self.most}"
        return f"{self.least} or more" if self.most == inf else f"{self.least:,} to {self.most:,}"


ANY = Range()
SHARE = Range(0, 1)
NOT_NEGATIVE = Range(0)

LOSS_OPTIONS: dict[str, dict[str, Range]] = {
    "a_gcl": {
        "margin": ANY,
        "noise": ANY,
        "positive_focus": NOT_NEGATIVE,
        "negative_focus": NOT_NEGATIVE,
        "smoothing": SHARE,
    },
    "gcl": {"margin": ANY, "noise": ANY},
    "cross_entropy": {"smoothing": SHARE},
    "logit_adjustment": {"tau": ANY},
    "ldam": {"largest_margin": ANY},
    "focal": {"focus": NOT_NEGATIVE},
    "class_balanced": {"beta": Range(0, 1, below=True)},
}
TEMPLATE_NAMES = (  # sets of prompts for text towers (lptpp.backbones.templates)
    "imagenet",
    "simple",
    "small_images",
    "scenes",
    "animals",
    "birds",
    "pets",
    "plants",
    "flowers",
    "food",
    "aircraft",
    "textures",
    "satellite",
)
RESIZE_MODES = ("crop", "squash", "pad")
SAMPLER_NAMES = ["instance_balanced", "class_balanced", "class_aware", "square_root", "effective_number"]
# settings of `data` that each source reads, besides those that apply to all
LISTS = {"root", "train_list", "validation_list", "test_list", "test"}
COLUMNS = {"image_column", "label_column"}
DRAWN = {"validation", "split_seed", "factor", "profile"}
ALL_SOURCES = DRAWN | {"source", "class_names", "on_error", "resize", "largest_megapixels", "white_level", "memory_gb"}
SOURCE_SETTINGS = {
    "emoji": {"test"},
    "folder": {"root", "test", "split_folders"},
    "list": LISTS,
    "csv": LISTS | COLUMNS | {"label_columns", "split_column"},
    "parquet": LISTS | COLUMNS | {"label_columns", "split_column"},
    "huggingface": LISTS | COLUMNS,
    "webdataset": LISTS | COLUMNS,
    "inat2018": {"root", "train_list", "test_list"},
    "cifar10_lt": {"root"},
    "cifar100_lt": {"root"},
}
SOURCE_NAMES = list(SOURCE_SETTINGS)
LOCAL_SOURCES = {"folder", "list", "csv", "parquet", "webdataset", "inat2018"}  # data.root is an existing folder
BASELINE_NAMES = (
    "zero_shot",
    "class_means",
    "linear_probe",
    "balanced_probe",
    "joint_linear_probe",
    "joint_balanced_probe",
)
READS = ("features", "confidences", "both")  # inputs of the scorer
MIX_NAMES = ("probabilities", "logits")  # what its weights average
VIEW_NAMES = ("one", "flip", "five_crops")
CONTROL_NAMES = ("own", "random", "none", "mean", "mixing")  # group prompts of control rows
RESERVED = frozenset(  # attributes of torch.nn.ModuleDict: no module in it, such as an expert, may have these names
    """
    T_destination add_module apply bfloat16 buffers call_super_init children clear compile cpu cuda double dump_patches
    eval extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half ipu items keys
    load_state_dict modules mtia named_buffers named_children named_modules named_parameters parameters pop
    register_backward_hook register_buffer register_forward_hook register_forward_pre_hook register_full_backward_hook
    register_full_backward_pre_hook register_load_state_dict_post_hook register_load_state_dict_pre_hook
    register_module register_parameter register_state_dict_post_hook register_state_dict_pre_hook requires_grad_
    set_extra_state set_submodule share_memory state_dict to to_empty train training type update values xpu zero_grad
    """.split()  # noqa: SIM905
)


def check_loss(name: str, options: Mapping[str, Any], key: str = "loss") -> None:
    """Raise `UserError` for an unknown loss, an option that it does not have, or a value out of range.

    `key` is the place of the loss in the settings, such as phase1.main.loss.
    """
    if name not in LOSS_OPTIONS:
        raise UserError(f"{key}.name={name}: {did_you_mean(name, LOSS_OPTIONS)}")
    known = LOSS_OPTIONS[name]
    for option, value in options.items():
        if option not in known:
            raise UserError(
                f"{key}.options.{option}: the loss {name} has no such option: {did_you_mean(option, known)}"
            )
        if isinstance(value, list | dict):  # OmegaConf lets these into a dictionary of numbers
            raise UserError(f"{key}.options.{option}={value}: expected a number.")
        if value not in known[option]:
            raise UserError(f"{key}.options.{option}={value}: expected {known[option]}.")
