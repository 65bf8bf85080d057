"""Builds files of `torch.save` byte by byte."""

import struct
import zipfile
from pathlib import Path

import numpy as np

ARRAY = np.arange(6, dtype=np.float32).reshape(3, 2) / 7


def integer(number: int) -> bytes:
    return b"J" + struct.pack("<i", number)


def text(words: str) -> bytes:
    return b"X" + struct.pack("<I", len(words)) + words.encode()


def several(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + several(*arguments) + b"R"


def dictionary(**items: bytes) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def tensor(
    *,
    key: str = "0",
    kind: str = "FloatStorage",
    count: int = 6,
    offset: int = 0,
    shape: tuple[int, ...] = (3, 2),
    strides: tuple[int, ...] = (2, 1),
) -> bytes:
    """Returns a pickled tensor, `ARRAY` by default."""
    storage = several(text("storage"), name("torch", kind), text(key), text("cpu"), integer(count))
    return call(
        name("torch._utils", "_rebuild_tensor_v2"),
        storage + b"Q",
        integer(offset),
        several(*map(integer, shape)),
        several(*map(integer, strides)),
        b"\x89",
        name("collections", "OrderedDict") + b")R",
    )


def pickled(value: bytes) -> bytes:
    return b"\x80\x02" + value + b"."


def write_torch_file(
    path: Path,
    value: bytes,
    numbers: np.ndarray | bytes = ARRAY,
    *,
    byteorder: bytes | None = None,
    compression: int = zipfile.ZIP_STORED,
    root: str = "archive",
) -> Path:
    """Writes a file of `torch.save` with a pickled value and one storage."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(f"{root}/data.pkl", pickled(value))
        archive.writestr(f"{root}/data/0", bytes(numbers))
        archive.writestr(f"{root}/version", b"3\n")
        if byteorder is not None:
            archive.writestr(f"{root}/byteorder", byteorder)
    return path
