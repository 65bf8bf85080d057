"""The record of a run: `metrics.jsonl`, with TensorBoard files beside it."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter

from prompt_tuning.storage import write_text


class Journal:
    """Appends what happens to `metrics.jsonl` and to one TensorBoard run per row.

    Args:
        path: The JSON lines file.
        restored: Steps already done by row name: infinity for a finished row, -1 for one that is
            going to start. What the file says of later steps is dropped, as those are going to run
            again; rows without an entry keep theirs.
    """

    def __init__(self, path: Path, restored: Mapping[str, float]):
        self._tensorboard = path.parent / "tensorboard"
        self._writers: dict[str, SummaryWriter] = {}
        self._restored = dict(restored)
        _truncate(path, restored)
        self._file = path.open("a", encoding="utf-8")

    def write(self, kind: str, row: str, step: int, values: Mapping[str, Any]) -> None:
        """Records `values` of a row at a step; `kind` is `train`, `validation` or `test`."""
        entry = {"kind": kind, "row": row, "step": step, **values}
        self._file.write(json.dumps(entry) + "\n")
        writer = self._writer(row)
        for name, value in values.items():
            if isinstance(value, int | float):
                writer.add_scalar(f"{kind}/{name}", value, step)

    def flush(self) -> None:
        """Makes everything written so far readable by others."""
        self._file.flush()

    def finish(self, row: str) -> None:
        """Closes the TensorBoard file of a row that has ended."""
        if row in self._writers:
            self._writers.pop(row).close()

    def close(self) -> None:
        """Closes all files."""
        for row in list(self._writers):
            self.finish(row)
        self._file.close()

    def _writer(self, row: str) -> SummaryWriter:
        if row not in self._writers:
            done = self._restored.get(row)
            self._writers[row] = SummaryWriter(
                str(self._tensorboard / row),
                purge_step=None if done is None else int(done) + 1,
                write_to_disk=True,
            )
        return self._writers[row]


def _truncate(path: Path, restored: Mapping[str, float]) -> None:
    """Drops entries of steps after the restored ones, and a last line that was cut short."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        # The score of the best checkpoint comes last: a row that is not finished has none yet.
        last = math.inf if entry["kind"] == "test" else entry["step"]
        if last <= restored.get(entry["row"], math.inf):
            kept.append(line + "\n")
    write_text(path, "".join(kept))
