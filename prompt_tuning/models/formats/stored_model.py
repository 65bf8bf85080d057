"""A backbone in any format, before its parameters are read."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from prompt_tuning.models.family import ModelConfig
from prompt_tuning.models.parameters import Parameter


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoredModel:
    """An opened backbone.

    Attributes:
        place: Its file or directory, for messages.
        parameters: Its parameters by T5X's names; names without a counterpart stay as stored.
        config: The stored config, or None if the format has none.
        vocabulary_file: The SentencePiece file, or None if the format has none.
        extra_ids: Number of sentinels after the pieces of that file; None if not stored.
    """

    place: str
    parameters: Mapping[str, Parameter]
    config: ModelConfig | None
    vocabulary_file: Path | None
    extra_ids: int | None

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the parameters by name."""
        return {name: parameter.shape for name, parameter in self.parameters.items()}
