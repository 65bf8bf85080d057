"""The SentencePiece vocabulary of a T5 model, without TensorFlow."""

import hashlib
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import numpy as np
import sentencepiece
from sentencepiece import sentencepiece_model_pb2

from prompt_tuning.types import UserError

PAD_ID = 0
EOS_ID = 1
UNK_ID = 2


class Vocabulary:
    """Encodes and decodes text exactly as `seqio.SentencePieceVocabulary` does.

    Ids follow T5's conventions: padding is 0, end of sequence 1, unknown 2. `extra_ids` sentinels
    follow the pieces of the file; the last id is `<extra_id_0>`.
    """

    def __init__(self, path: str | Path, extra_ids: int):
        """Opens a SentencePiece model.

        Args:
            path: The `.model` file.
            extra_ids: The number of sentinels to append: 100 for the published T5 models, 0 if the
                file has its own.

        Raises:
            UserError: The file cannot be read, or `extra_ids` is negative. A file that is not a
                SentencePiece model with T5's special ids raises on first use.
        """
        self.path = Path(path)
        self.extra_ids = extra_ids
        if extra_ids < 0:
            raise UserError(f"extra_ids is {extra_ids}; the number of sentinels cannot be negative")
        try:
            self._file = self.path.read_bytes()
        except OSError as error:
            raise UserError(
                f"vocabulary file {self.path} cannot be read ({error.strerror}); "
                "give the path of a SentencePiece .model file"
            ) from error

    def encode(self, text: str) -> list[int]:
        """Returns the token ids of a text, without end of sequence."""
        return self._processor.EncodeAsIds(text)

    def decode(self, ids: Iterable[int]) -> str:
        """Returns the text of token ids up to the first end of sequence, ignoring padding.

        Ids beyond the vocabulary, which round up the embedding table, decode as unknown.
        """
        pieces = []
        for token in ids.tolist() if isinstance(ids, np.ndarray) else ids:
            if token == EOS_ID:
                break
            pieces.append(token if token < self.size else UNK_ID)
        return self._processor.DecodeIds(pieces)

    def sentinel(self, number: int) -> int:
        """Returns the id of `<extra_id_{number}>`, whether appended or the file's own.

        Raises:
            ValueError: There is no such sentinel.
        """
        token = self._processor.PieceToId(f"▁<extra_id_{number}>")
        if token == UNK_ID:
            raise ValueError(f"the vocabulary has no sentinel {number}")
        return token

    def piece(self, token: int) -> str:
        """Returns the piece of a token id, with SentencePiece's mark for a leading space."""
        return self._processor.IdToPiece(token)

    @cached_property
    def size(self) -> int:
        """The number of pieces, sentinels included."""
        return self._processor.GetPieceSize()

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the file and the number of sentinels, in hexadecimal."""
        return hashlib.sha256(self._file + f"+{self.extra_ids}".encode()).hexdigest()

    @cached_property
    def _processor(self) -> sentencepiece.SentencePieceProcessor:
        try:
            model = sentencepiece_model_pb2.ModelProto.FromString(self._file)  # pyright: ignore
            user_defined = sentencepiece_model_pb2.ModelProto.SentencePiece.USER_DEFINED  # pyright: ignore
            for number in reversed(range(self.extra_ids)):
                model.pieces.add(piece=f"▁<extra_id_{number}>", score=0.0, type=user_defined)
            processor = sentencepiece.SentencePieceProcessor()
            processor.LoadFromSerializedProto(model.SerializeToString())
            special = processor.pad_id(), processor.eos_id(), processor.unk_id()
        except Exception as error:  # protobuf and SentencePiece raise different ones
            raise UserError(
                f"vocabulary file {self.path} is not a SentencePiece model; "
                "give the .model file the backbone was trained with"
            ) from error
        if special != (PAD_ID, EOS_ID, UNK_ID):
            raise UserError(
                f"vocabulary file {self.path} has pad, eos, unk = {special}, T5 needs (0, 1, 2); "
                "train it with --pad_id=0 --eos_id=1 --unk_id=2"
            )
        return processor
