"""docs/data.md is true: its table is the catalog's, and its commands and examples work."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

from prompt_tuning.cli.main import main
from prompt_tuning.data.datasets.catalog import DATASETS
from prompt_tuning.data.datasets.reader import Reader

TEXT = (Path(__file__).parents[1] / "docs" / "data.md").read_text(encoding="utf-8")
BLOCKS = [
    re.sub(r"^    ", "", block, flags=re.MULTILINE)
    for block in re.findall(
        r"(?:^    .*\n)+", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL), re.M
    )
]


def line(dataset):
    files = ", ".join(f"{name}.jsonl" for names in dataset.splits.values() for name in names)
    words = dataset.labels
    if not all(word.isdigit() for word in words):  # else the label is the number itself
        words = [f"{number} {word}" for number, word in enumerate(words)]
    label = f"label ({', '.join(words)})" if words else "label"
    fields = ", ".join(label if field == "label" else field for field in dataset.fields)
    obtain = dataset.obtain.replace("|", r"\|")
    return f"| `{dataset.name}` | `{dataset.folder}/`: {files} | {fields} | {obtain} |"


def test_the_table_of_files_to_fetch_is_the_catalogs():
    wanted = sorted(line(each) for each in DATASETS.values() if each.obtain or each.tfds is None)
    found = [each for each in TEXT.splitlines() if each.startswith("| `")]
    assert found == wanted, "the table should be:\n" + "\n".join(wanted)


def test_a_named_task_is_there():
    named = set(re.findall(r"`((?:glue|super_glue|mrqa|race|squad|drop)_?[a-z_]*)`", TEXT))
    forms = {"mrqa", "race", "glue_unprefixed", "glue_cola_unprefixed", "glue_cola_leaderboard"}
    assert named - forms <= set(DATASETS) and len(named - forms) > 5


def test_the_commands_for_own_data_suit_their_files(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    reviews = [f"review {i},{('good', 'bad')[i % 2]}" for i in range(12)]
    (tmp_path / "reviews.csv").write_text("\n".join(["text,label", *reviews]))
    rows = [{"first": f"a{i}", "second": "b", "gold": i % 3} for i in range(12)]
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    commands = [each.replace("\\\n", " ") for each in BLOCKS if "TASK_FILE" in each]
    assert len(commands) == 2
    for command in commands:
        # The published model would have to be fetched; the tiny one shows the same.
        words = [each.replace("t5_1_1_lm100k_base", "t5_mini") for each in shlex.split(command)[1:]]
        assert main([*words, "--dry_run"]) == 0
        out = capsys.readouterr().out
        assert "12 examples (" in out and ("stand-in" in out) == ("reviews" in command)


def test_the_example_of_a_row_is_one(tmp_path):
    (row,) = [each for each in BLOCKS if each.startswith("{")]
    folder = tmp_path / DATASETS["squad"].folder
    folder.mkdir()
    for split in ("train", "validation"):
        (folder / f"{split}.jsonl").write_text(row)
    (example,) = Reader(DATASETS["squad"], str(tmp_path), None).examples("train")
    assert example["targets"] == "Ada"


def test_labels_are_joined_to_their_lines(tmp_path):
    (command,) = [each for each in BLOCKS if each.startswith("python -c")]
    row = {"obs1": "a", "obs2": "b", "hyp1": "c", "hyp2": "d"}
    (tmp_path / "train.jsonl").write_text(f"{json.dumps(row)}\n{json.dumps(row)}\n")
    (tmp_path / "train-labels.lst").write_text("2\n1\n")
    code = shlex.split(command)[2]
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    joined = [json.loads(each) for each in out.splitlines()]
    targets = [next(iter(DATASETS["abductive_nli"].format(each)))["targets"] for each in joined]
    assert targets == ["2", "1"]
