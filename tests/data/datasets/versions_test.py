"""A dataset whose examples change gets another version, or caches would keep the old ones.

`versions.json` holds the version of each dataset and a digest of the examples that it makes of the
rows of its fixture.
"""

import hashlib
import json
from pathlib import Path

from prompt_tuning.data.datasets.catalog import DATASETS, MIXTURES, declared
from prompt_tuning.data.datasets.dataset import HELD_BACK, Dataset
from prompt_tuning.data.datasets.reader import Reader

HERE = Path(__file__).parent
GOLDEN = json.loads((HERE / "versions.json").read_text())


def digest(dataset: Dataset, data_dir: Path) -> str:
    """Returns a digest of where a dataset's rows come from and of the examples of its fixture."""
    fixture = json.loads((HERE / "fixtures" / f"{dataset.name}.json").read_text(encoding="utf-8"))
    folder = data_dir / dataset.folder
    folder.mkdir(exist_ok=True)
    for split, rows in fixture["rows"].items():
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{split}.jsonl").write_text(lines, encoding="utf-8")
    reader = Reader(dataset, str(data_dir), None)
    splits = [*reader.splits, *([HELD_BACK] if dataset.leaderboard else [])]
    facts = [
        *(dataset.tfds, dataset.folder, {k: list(v) for k, v in dataset.splits.items()}),
        *(dataset.holdout, list(dataset.leaderboard), dict(dataset.limits), dataset.prefix),
        *(dataset.streamed, dataset.unlabeled),
        {split: list(reader.examples(split)) for split in splits},
    ]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def test_changed_examples_have_a_new_version(tmp_path):
    present = {}
    for dataset in DATASETS.values():
        folder = tmp_path / dataset.name
        folder.mkdir()
        present[dataset.name] = [dataset.version, digest(dataset, folder)]
    changed = {name: entry for name, entry in present.items() if GOLDEN.get(name) != entry}
    stale = [name for name in changed if name in GOLDEN and GOLDEN[name][0] == changed[name][0]]
    assert not stale, f"raise the version of {', '.join(stale)}"
    assert not changed, f"versions.json should have {json.dumps(changed)}"


def test_all_forms_of_a_dataset_have_its_version():
    cola = DATASETS["glue_cola"]
    forms = ("", "_unprefixed", "_leaderboard", "_unprefixed_leaderboard")
    assert [declared(f"glue_cola{form}") for form in forms] == 4 * [
        (str(cola.version), cola.metrics, cola.postprocess)
    ]
    assert declared("mini_cb") is None


def test_a_mixture_is_another_with_other_members():
    mixture = declared("spot_nli_unprefixed")
    assert mixture is not None
    assert mixture.version == f"524288: {', '.join(MIXTURES['spot_nli'].members)}"
