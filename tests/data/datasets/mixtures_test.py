"""The largest mixture, from the rows of every dataset in it to batches that mix them."""

import json
from pathlib import Path

import numpy as np
import pytest

import prompt_tuning
from prompt_tuning.data.batches.pipeline import Batches
from prompt_tuning.data.cache import opening
from prompt_tuning.data.cache.entry import Cache
from prompt_tuning.data.cached_task import CachedMixture
from prompt_tuning.data.datasets.catalog import DATASETS, MIXTURES
from prompt_tuning.data.vocabulary import Vocabulary

FIXTURES = Path(__file__).parent / "fixtures"
MINI = Path(prompt_tuning.__file__).parent / "mini" / "t5_mini"
LENGTHS = {"inputs": 32, "targets": 16}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """Writes the fixture of every dataset of `spot_all` as JSON lines."""
    folder = tmp_path_factory.mktemp("data")
    for name in MIXTURES["spot_all"].members:
        directory = folder / DATASETS[name].folder
        directory.mkdir(exist_ok=True)
        rows = json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))["rows"]
        for split, of_split in rows.items():
            lines = "".join(json.dumps(row) + "\n" for row in of_split)
            (directory / f"{split}.jsonl").write_text(lines, encoding="utf-8")
    return folder


def test_all_of_spot_is_one_mixture_with_two_streams(tmp_path, data_dir):
    facts = json.loads((MINI / "config.json").read_text())["vocabulary"]
    vocabulary = Vocabulary(MINI / "sentencepiece.model", facts["extra_ids"])
    cache = Cache(tmp_path, vocabulary, LENGTHS, data_dir=str(data_dir))
    (mixture,) = opening.ensure_cached(cache, ["spot_all"], report=lambda line: None)
    assert isinstance(mixture, CachedMixture) and len(mixture.parts) == 58
    streams = {part.name for part, _ in mixture.parts if part.stream is not None}
    assert streams == {"c4_prefix_lm", "wmt15_enfr"}
    assert all("validation" in part.splits and rate > 0 for part, rate in mixture.parts)
    batches = Batches(
        [(part.training, rate) for part, rate in mixture.parts],
        batch_size=8,
        seed=0,
        shapes=[(LENGTHS["inputs"], LENGTHS["targets"])],
        process_index=0,
        process_count=1,
    )
    drawn = np.concatenate([batches.next().targets for _ in range(32)])
    assert ((drawn == 1).sum(1) == 1).all()
    assert len(np.unique(drawn, axis=0)) > 50
