"""What a directory with a backbone holds, before any parameter is read."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from prompt_tuning.models.family import ModelConfig
from prompt_tuning.models.parameters import Parameter


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stored:
    """An opened backbone.

    Attributes:
        place: Where it is, for messages.
        parameters: Its parameters by name; names that no model has are left as they are stored.
        config: The shape that is stored with them, or None.
        vocabulary_file: Where the SentencePiece model is in this form; None where it is not.
        extra_ids: Sentinels behind the pieces of that vocabulary; None to find them in the file.
    """

    place: str
    parameters: Mapping[str, Parameter]
    config: ModelConfig | None
    vocabulary_file: Path | None
    extra_ids: int | None
