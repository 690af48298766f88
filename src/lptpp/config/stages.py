"""The stages of training: one for each expert and phase, and one for the scorer."""

from typing import NamedTuple, Self

MIXTURE = "mixture"  # the owner of phase 3


class StageKey(NamedTuple):
    """A phase of an expert, or phase 3 of the mixture; as text `visual/phase1`.

    The text seeds random streams and names the rows of the history, so it must not change.
    """

    owner: str  # an expert, or MIXTURE
    phase: int  # 1, 2 or 3

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the key that `str` wrote."""
        owner, _, phase = text.rpartition("/phase")
        return cls(owner, int(phase))

    def __str__(self) -> str:
        return f"{self.owner}/{self.settings_key}"

    def __format__(self, specification: str) -> str:
        return format(str(self), specification)

    @property
    def settings_key(self) -> str:
        """The key of the phase in the settings."""
        return f"phase{self.phase}"


SCORER = StageKey(MIXTURE, 3)
