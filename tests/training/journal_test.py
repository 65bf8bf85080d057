"""The journal: what is written, and what a resumed run drops of it."""

import json
import math
from pathlib import Path

from prompt_tuning.training.journal import Journal

ENTRIES = [
    {"kind": "train", "row": "half", "step": 4, "loss": 1.5},
    {"kind": "validation", "row": "half", "step": 6, "score": 50.0},
    {"kind": "train", "row": "half", "step": 8, "loss": 1.25},
    {"kind": "test", "row": "half", "step": 2, "score": 40.0},
    {"kind": "test", "row": "done", "step": 8, "score": 60.0},
    {"kind": "validation", "row": "fresh", "step": 0, "score": 0.0},
    {"kind": "test", "row": "of another run", "step": 2, "score": 70.0},
]


def _lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_entries_are_json_lines_with_tensorboard_files_beside_them(tmp_path: Path):
    journal = Journal(tmp_path / "metrics.jsonl", {})
    for entry in ENTRIES[:2]:
        rest = {name: entry[name] for name in entry if name not in ("kind", "row", "step")}
        journal.write(entry["kind"], entry["row"], entry["step"], rest)
    journal.flush()
    assert _lines(tmp_path / "metrics.jsonl") == ENTRIES[:2]
    journal.close()
    events = list((tmp_path / "tensorboard" / "half").iterdir())
    assert len(events) == 1 and b"validation/score" in events[0].read_bytes()


def test_what_will_run_again_is_dropped_and_the_rest_is_kept(tmp_path: Path):
    path = tmp_path / "metrics.jsonl"
    cut_short = '{"kind": "train", "row": "done", "st'
    path.write_text("".join(json.dumps(entry) + "\n" for entry in ENTRIES) + cut_short)
    Journal(path, {"half": 6, "done": math.inf, "fresh": -1}).close()
    assert _lines(path) == [ENTRIES[0], ENTRIES[1], ENTRIES[4], ENTRIES[6]]
