"""SentencePiece files of numbers, for benchmarks and tests that read no real text."""

from pathlib import Path

from sentencepiece import sentencepiece_model_pb2


def write_vocabulary(path: Path, pieces: int, sentinels: int = 0) -> Path:
    """Writes a SentencePiece model with `pieces` pieces, the last `sentinels` of them sentinels."""
    special = [("<pad>", 3), ("</s>", 3), ("<unk>", 2)]  # control, control, unknown
    plain = [(f"▁{i}", 1) for i in range(pieces - sentinels - 3)]
    extra = [(f"▁<extra_id_{i}>", 4) for i in reversed(range(sentinels))]  # defined by the user
    model = sentencepiece_model_pb2.ModelProto()  # pyright: ignore[reportAttributeAccessIssue]
    for name, kind in special + plain + extra:
        model.pieces.add(piece=name, score=0.0, type=kind)
    model.trainer_spec.pad_id, model.trainer_spec.eos_id, model.trainer_spec.unk_id = 0, 1, 2
    model.trainer_spec.bos_id = -1
    path.write_bytes(model.SerializeToString())
    return path
