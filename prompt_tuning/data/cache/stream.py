"""Training splits too large to hold, tokenized while they are read, in a subprocess.

Example i depends on record i of the split and on the seed alone, so a stream can start anywhere
without reading the examples before.
"""

import json
import queue
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from prompt_tuning.data import ragged
from prompt_tuning.data.cache import worker
from prompt_tuning.data.cached_task import Block, StreamedSplit
from prompt_tuning.data.ragged import Ragged
from prompt_tuning.types import UserError

WRITER = "prompt_tuning.data.cache.stream_writer"
_AHEAD = 64  # blocks kept ready
_FAILED = -1


class Stream:
    """Reads the examples of a streamed split, prefetching them.

    Its subprocess starts with the first examples, and ends with this object or this program.

    Args:
        split: The split.
        seed: Seeds what is drawn at random in each example; not negative.
    """

    def __init__(self, split: StreamedSplit, seed: int):
        self._split = split
        self._seed = seed
        self._source: _Source | None = None
        self._position = 0
        self._ready = Block(ragged.from_sequences([]), ragged.from_sequences([]))

    def take(self, start: int, count: int) -> Block:
        """Returns examples `start .. start + count`.

        Raises:
            UserError: The data cannot be read or tokenized.
        """
        if self._source is None or start != self._position:
            self.close()
            self._source = _Source(self._split.task, self._split.request(self._seed, start))
            self._ready = Block(ragged.from_sequences([]), ragged.from_sequences([]))
        blocks, ready = [self._ready], len(self._ready.inputs)
        while ready < count:
            blocks.append(self._source.block())
            ready += len(blocks[-1].inputs)
        inputs, targets = (ragged.concatenate(parts) for parts in zip(*blocks, strict=True))
        self._ready = Block(inputs.sequences(count, ready), targets.sequences(count, ready))
        self._position = start + count
        return Block(inputs.sequences(0, count), targets.sequences(0, count))

    def close(self) -> None:
        """Ends the subprocess; the next `take` starts another."""
        if self._source is not None:
            self._source.end()
            self._source = None


def write_block(file: IO[bytes], block: Block) -> None:
    """Writes a block: counts of examples and tokens, then lengths, then tokens."""
    counts = [len(block.inputs), len(block.inputs.tokens), len(block.targets.tokens)]
    file.write(np.array(counts, np.int64).tobytes())
    for part in block:
        file.write(part.lengths.astype(np.int32).tobytes())
    for part in block:
        file.write(part.tokens.astype(np.int32).tobytes())
    file.flush()


def write_failure(file: IO[bytes], text: str) -> None:
    """Writes an error message in place of a block."""
    line = text.encode()
    file.write(np.array([_FAILED, len(line), 0], np.int64).tobytes() + line)
    file.flush()


def read_block(file: IO[bytes]) -> Block | None:
    """Reads a block; returns None at the end of the file.

    Raises:
        UserError: An error message was written in place of the block.
    """
    header = file.read(24)
    if len(header) < 24:
        return None
    count, *sizes = np.frombuffer(header, np.int64).tolist()
    if count == _FAILED:
        raise UserError(file.read(sizes[0]).decode())
    whole = file.read(4 * (2 * count + sum(sizes)))
    if len(whole) < 4 * (2 * count + sum(sizes)):
        return None
    numbers = np.frombuffer(whole, np.int32)
    tokens = np.split(numbers[2 * count :], [sizes[0]])
    lengths = numbers[: 2 * count].reshape(2, count)
    offsets = np.concatenate([np.zeros((2, 1), np.int64), lengths.cumsum(1, np.int64)], 1)
    return Block(*map(Ragged, tokens, offsets))


class _Source:
    """A subprocess that writes blocks, and a thread that reads them."""

    def __init__(self, task: str, request: Mapping[str, Any]):
        self._task = task
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", WRITER],
            stdin=subprocess.PIPE,  # its end tells the subprocess that this process is gone
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=worker.environment(),
        )
        self._blocks: queue.Queue[Block | UserError | None] = queue.Queue(_AHEAD)
        stopped = threading.Event()
        self.end = weakref.finalize(self, _end, self._process, stopped, self._log)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        threading.Thread(
            target=_read, args=(self._process.stdout, self._blocks, stopped), daemon=True
        ).start()

    def block(self) -> Block:
        block = self._blocks.get()
        if isinstance(block, Block):
            return block
        if block is None:
            line = worker.last_line(self._log, self._process.wait())
            block = UserError(f"streaming {self._task} stopped: {line}")
        self.end()
        raise block


def _read(
    file: IO[bytes], blocks: "queue.Queue[Block | UserError | None]", stopped: threading.Event
) -> None:
    """Queues blocks until they end or `stopped` is set."""
    block: Block | UserError | None = Block(*[ragged.from_sequences([])] * 2)
    while isinstance(block, Block):
        try:
            block = read_block(file)
        except UserError as error:
            block = error
        except (OSError, ValueError):  # closed while reading
            block = None
        while not stopped.is_set():
            try:
                blocks.put(block, timeout=0.2)
                break
            except queue.Full:
                continue
        else:
            return


def _end(process: subprocess.Popen, stopped: threading.Event, log: IO[str]) -> None:
    stopped.set()
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    log.close()
