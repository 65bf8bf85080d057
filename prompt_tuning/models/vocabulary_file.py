"""The SentencePiece file of a backbone: where it is, and whether it is the model's."""

import hashlib
from pathlib import Path

from prompt_tuning.storage import write_bytes
from prompt_tuning.types import UserError

_SENTINEL = "<extra_id_0>"
_PUBLISHED_EXTRA_IDS = 100  # sentinels of T5 and mT5
_ROUNDING = 128  # embedding tables are rounded up to a multiple of it


def fetch_vocabulary(path: str, cache: Path) -> Path:
    """Returns a local path of a vocabulary file; one on `gs://` is fetched once into a cache.

    Args:
        path: The SentencePiece file, local or `gs://`.
        cache: The directory to keep fetched files in.

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
        rows: Rows of the embedding table; up to 127 more than there are pieces round it up.
        extra_ids: Sentinels behind the pieces of the file. None where nothing says: the 100 of the
            published models, but none if the file has sentinels itself or there is no room.

    Returns:
        The sentinels behind the pieces of the file.

    Raises:
        UserError: The file is missing, is no SentencePiece model, or is another model's.
    """
    pieces, sentinels = _count(path)
    if extra_ids is None:
        room = 0 <= rows - pieces < _PUBLISHED_EXTRA_IDS
        extra_ids = 0 if sentinels or room else _PUBLISHED_EXTRA_IDS
    if not 0 <= rows - (pieces + extra_ids) < _ROUNDING:
        raise UserError(
            f"vocabulary {path} is not the model's: it has {pieces + extra_ids:,} pieces "
            f"({extra_ids} of them sentinels behind those of the file), the model {rows:,} "
            "embedding rows; set VOCABULARY to the file it was trained with"
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
        raise _no_model(path) from error
    if not model.pieces:
        raise _no_model(path)
    return len(model.pieces), any(piece.piece.endswith(_SENTINEL) for piece in model.pieces)


def _no_model(path: Path) -> UserError:
    return UserError(
        f"vocabulary {path} is not a SentencePiece model; give the one the model was trained with"
    )
