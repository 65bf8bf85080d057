"""Fetching a backbone's SentencePiece file and checking that it fits the model."""

import hashlib
from pathlib import Path

from prompt_tuning.storage import write_bytes
from prompt_tuning.types import UserError

_SENTINEL = "<extra_id_0>"
_PUBLISHED_EXTRA_IDS = 100  # sentinels of T5 and mT5
_ROUNDING = 128  # embedding tables are rounded up to a multiple of this


def fetch_vocabulary(path: str, cache: Path) -> Path:
    """Returns a vocabulary file's local path; a file on `gs://` is fetched into a cache once.

    Args:
        path: The SentencePiece file, local or `gs://`.
        cache: The directory for fetched files.

    Raises:
        UserError: It cannot be fetched.
    """
    from prompt_tuning.models.formats import arrays

    if not arrays.is_remote(path):
        return Path(path).expanduser()
    local = cache / f"{hashlib.sha256(path.encode()).hexdigest()[:16]}.model"
    if not local.is_file():
        content = arrays.read_file(path)
        if content is None:
            raise UserError(f"vocabulary {path}: there is no such file; set VOCABULARY")
        write_bytes(local, content)
    return local


def check_vocabulary(path: Path, rows: int, extra_ids: int | None) -> int:
    """Checks that a vocabulary has as many pieces as a model has embedding rows.

    Args:
        path: The SentencePiece file.
        rows: Rows of the embedding table; rounding may make them up to 127 more than the pieces.
        extra_ids: Number of sentinels after the pieces of the file. None if unknown: then the 100
            of the published models, or 0 if the file has sentinels itself or there is no room.

    Returns:
        The number of sentinels after the pieces of the file.

    Raises:
        UserError: The file is missing, is not a SentencePiece model, or is another model's.
    """
    pieces, sentinels = _count(path)
    if extra_ids is None:
        room = 0 <= rows - pieces < _PUBLISHED_EXTRA_IDS
        extra_ids = 0 if sentinels or room else _PUBLISHED_EXTRA_IDS
    if not 0 <= rows - (pieces + extra_ids) < _ROUNDING:
        raise UserError(
            f"vocabulary {path} is not the model's: it has {pieces + extra_ids:,} pieces "
            f"({extra_ids} of them sentinels that are not in the file), and the model has {rows:,} "
            "embedding rows; set VOCABULARY to the file that the model was trained with"
        )
    return extra_ids


def _count(path: Path) -> tuple[int, bool]:
    """Returns the number of pieces in a file, and whether sentinels are among them."""
    from sentencepiece import sentencepiece_model_pb2

    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"vocabulary {path}: cannot read it ({error.strerror}); "
            "set VOCABULARY to the model's SentencePiece file"
        ) from error
    try:
        model = sentencepiece_model_pb2.ModelProto.FromString(content)  # pyright: ignore
    except Exception as error:  # protobuf's own
        raise _not_a_model(path) from error
    if not model.pieces:
        raise _not_a_model(path)
    return len(model.pieces), any(piece.piece.endswith(_SENTINEL) for piece in model.pieces)


def _not_a_model(path: Path) -> UserError:
    return UserError(
        f"vocabulary {path} is not a SentencePiece model; "
        "set VOCABULARY to the file that the model was trained with"
    )
