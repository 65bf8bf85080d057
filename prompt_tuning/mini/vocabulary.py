"""The SentencePiece model of `t5_mini`: a piece per word of the mini world, plus bytes."""

from __future__ import annotations

import functools
import io
import string
from pathlib import Path
from typing import Any

import sentencepiece
from sentencepiece import sentencepiece_model_pb2

from prompt_tuning.mini import labels, lexicon
from prompt_tuning.mini.corpus import INSTRUCTIONS, Exercise, example
from prompt_tuning.mini.draw import Draw
from prompt_tuning.mini.examples import draw_examples
from prompt_tuning.mini.skills import SKILLS
from prompt_tuning.mini.suite import SUITE

EXTRA_IDS = 16

_PUNCTUATION = ".,;:!?'\"()-|/&%$#@*+=_<>[]{}"
_SPACE = "\u2581"


@functools.cache
def world_words() -> tuple[str, ...]:
    """Returns all words of the suite and of pre-training text, sorted."""
    words: set[str] = set()
    for task in SUITE.values():
        words.update(" ".join(task.labels).split())
        for split in task.sizes:
            for drawn in draw_examples(task.name, split):
                words.update(f"{drawn['inputs']} {drawn['targets']}".split())
    draw = Draw("vocabulary")
    for skill in SKILLS:
        for level in (1, 2, 3):
            for _ in range(1000):
                words.update(" ".join(example(draw, Exercise(skill, level))).split())
    for sets in (labels.PAIRS, labels.CHOICES, labels.TRIPLES, *INSTRUCTIONS.values()):
        for entry in sets:
            words.update(entry if isinstance(entry, tuple) else entry.split())
    words.update(lexicon.HELD_OUT)
    return tuple(sorted(words))


def write_model(path: Path) -> None:
    """Writes the SentencePiece model: pad 0, end of sentence 1, unknown 2, no start of sentence.

    The unigram model is assembled by hand, so that it depends on the mini world alone: a word costs
    less than any spelling of it by characters or bytes. Text is lower-cased and NFKC-normalized.
    """
    messages: Any = sentencepiece_model_pb2  # protobuf makes its classes at run time
    proto = messages.ModelProto()
    proto.ParseFromString(_template())
    del proto.pieces[:]
    piece = messages.ModelProto.SentencePiece

    def add(text: str, score: float, kind: int = piece.NORMAL) -> None:
        proto.pieces.add(piece=text, score=score, type=kind)

    add("<pad>", 0.0, piece.CONTROL)
    add("</s>", 0.0, piece.CONTROL)
    add("<unk>", 0.0, piece.UNKNOWN)
    for word in world_words():
        add(_SPACE + word, -1.0)
    for character in (*string.ascii_lowercase, *string.digits, *_PUNCTUATION, _SPACE):
        add(character, -10.0)
    for byte in range(256):
        add(f"<0x{byte:02X}>", 0.0, piece.BYTE)
    while (len(proto.pieces) + EXTRA_IDS) % 8:
        add(f"<unused{len(proto.pieces) % 8}>", 0.0, piece.UNUSED)
    path.write_bytes(proto.SerializeToString())


def vocabulary_size(path: Path) -> int:
    """Returns the vocabulary size V: the pieces, then the sentinels."""
    return sentencepiece.SentencePieceProcessor(model_file=str(path)).vocab_size() + EXTRA_IDS


def word_ids(path: Path) -> dict[str, int]:
    """Returns the id of every word and sentinel (`<extra_id_0>` has the last id)."""
    model = sentencepiece.SentencePieceProcessor(model_file=str(path))
    ids = {word: model.piece_to_id(_SPACE + word) for word in world_words()}
    last = model.vocab_size() + EXTRA_IDS - 1
    return ids | {f"<extra_id_{k}>": last - k for k in range(EXTRA_IDS)}


def _template() -> bytes:
    """Trains a throwaway model, from which to take settings and normalization rules."""
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(world_words()),
        model_writer=out,
        model_type="unigram",
        vocab_size=400,
        hard_vocab_limit=False,
        byte_fallback=True,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        normalization_rule_name="nmt_nfkc_cf",
        minloglevel=2,
    )
    return out.getvalue()
