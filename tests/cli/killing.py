"""Kills a command again and again, then lets it end."""

import os
import random
import signal
import time
from pathlib import Path

from tests.cli.conftest import launch

MOMENTS = ((3, signal.SIGKILL), (60, signal.SIGINT), (110, signal.SIGKILL))
"""Lines of `metrics.jsonl` to wait for, and the signal that follows."""


def run_with_interruptions(command: str, config: Path, model_dir: Path, seed: int) -> None:
    """Runs a saved configuration in another directory; it is killed at `MOMENTS`.

    Each signal is sent up to 0.05 seconds after its moment, as `seed` has it. Before them all, the
    command is killed while it starts.
    """
    words = (command, f"--gin_file={config}", f"--gin.MODEL_DIR='{model_dir}'")
    draw = random.Random(seed)
    starting = launch(*words)
    time.sleep(draw.uniform(0.2, 1.0))
    starting.kill()
    starting.communicate()
    for lines, with_signal in MOMENTS:
        before = _journal(model_dir)[0]
        process = launch(*words)
        # A command that resumes writes a new file first.
        while process.poll() is None:
            file, written = _journal(model_dir)
            if file != before and written >= lines:
                break
            time.sleep(0.002)
        time.sleep(draw.uniform(0.0, 0.05))
        process.send_signal(with_signal)
        _, err = process.communicate()
        if with_signal == signal.SIGINT:
            assert process.returncode == 130, (process.returncode, err)
            assert err == "interrupted; run the same command again to resume\n", err
        else:
            assert process.returncode == -with_signal, (process.returncode, lines, err)
    last = launch(*words)
    out, err = last.communicate()
    assert last.returncode == 0, err
    assert not err
    assert "Resuming: " in out


def _journal(model_dir: Path) -> tuple[int, int]:
    """Returns which file the journal is, and its lines."""
    try:
        with (model_dir / "metrics.jsonl").open("rb") as file:
            return os.fstat(file.fileno()).st_ino, file.read().count(b"\n")
    except FileNotFoundError:
        return 0, 0
