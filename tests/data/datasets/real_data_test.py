"""The real files of published datasets, from JSON lines to the scores of right answers."""

from typing import NamedTuple

import pytest

from prompt_tuning.cli import gin_files
from prompt_tuning.data.batches.evaluation import Encoding, eval_batches
from prompt_tuning.data.batches.padding import Positions, count_positions, expect_positions
from prompt_tuning.data.batches.pipeline import Batches, choose_shapes
from prompt_tuning.data.cache import opening
from prompt_tuning.data.cache.entry import Cache
from prompt_tuning.data.cached_task import CachedTask
from prompt_tuning.data.vocabulary import Vocabulary
from prompt_tuning.training.setup import MULTIPLE


class Real(NamedTuple):
    """What is known of a real dataset: sizes, the first scored example, its label words."""

    sizes: dict[str, int]
    inputs: str
    target: str
    labels: tuple[str, ...] = ()


_ENTAILMENT = ("entailment", "not_entailment")
_POLARITY = ("negative", "positive")

DATASETS = {
    "glue_cola": Real(
        {"train": 8551, "validation": 1043},
        "cola sentence: The sailors rode the breeze clear of the rocks.",
        "acceptable",
        ("unacceptable", "acceptable"),
    ),
    "glue_sst2": Real(
        {"train": 6920, "validation": 872, "test": 1821},
        "sst2 sentence: no movement , no yuks , not much of anything .",
        "negative",
        _POLARITY,
    ),
    "glue_mrpc": Real(
        {"train": 3576, "validation": 500, "test": 1725},
        "mrpc sentence1: PCCW's chief operating officer, Mike Butcher, and Alex Arena, the chief "
        "financial officer, will report directly to Mr So. sentence2: Current Chief Operating "
        "Officer Mike Butcher and Group Chief Financial Officer Alex Arena will report to So.",
        "equivalent",
        ("not_equivalent", "equivalent"),
    ),
    "glue_stsb": Real(
        {"train": 5749, "validation": 1500, "test": 1379},
        "stsb sentence1: A girl is styling her hair. sentence2: A girl is brushing her hair.",
        "2.5",
    ),
    "super_glue_boolq": Real(
        {"train": 1491, "validation": 3270},
        "boolq passage: All biomass goes through at least some of these steps: it needs",
        "False",
        ("False", "True"),
    ),
    "super_glue_cb": Real(
        {"train": 250, "validation": 56},
        "cb hypothesis: Valence was helping premise: Valence the void-brain, Valence the virtuous "
        "valet. Why couldn't the figger choose his own portion of titanic anatomy to shaft? Did he "
        "think he was helping?",
        "contradiction",
        ("entailment", "contradiction", "neutral"),
    ),
    "super_glue_copa": Real(
        {"train": 400, "validation": 100},
        "copa choice1: The toilet filled with water. choice2: Water flowed from the spout. "
        "premise: The man turned on the faucet. question: effect",
        "choice2",
        ("choice1", "choice2"),
    ),
    "super_glue_rte": Real(
        {"train": 2490, "validation": 277},
        "rte hypothesis: Christopher Reeve had an accident. premise: Dana Reeve, the widow of the "
        "actor Christopher Reeve, has died of lung cancer at age 44, according to the Christopher "
        "Reeve Foundation.",
        "not_entailment",
        _ENTAILMENT,
    ),
    "super_glue_wsc": Real(
        {"train": 259, "validation": 104},
        "wsc: Bernard , who had not told the government official that he was less than 21 when he "
        "filed for a homestead claim, did not consider that he had done anything dishonest. Still, "
        "anyone who knew that he was 19 years old could take his claim away from *him* .",
        "anyone",
    ),
    "snli": Real(
        {"train": 1666, "validation": 200, "test": 400},
        "snli hypothesis: A man is prone on the street while another man stands next to him. "
        "premise: A man with a beard is talking on the cellphone and standing next to someone who "
        "is lying down on the street.",
        "entailment",
        ("entailment", "neutral", "contradiction"),
    ),
    "imdb_reviews": Real(
        {"train": 1707, "validation": 245, "test": 488},
        "imdb_reviews text: If you haven't seen this, it's terrible. It is pure trash. I saw this "
        "about 17 years ago, and I'm still screwed up from it.",
        "negative",
        _POLARITY,
    ),
    "cr": Real(
        {"train": 3000, "validation": 771},
        "cr sentence: glad to see the ed . revised the previous statements regarding image "
        "quality .",
        "positive",
        _POLARITY,
    ),
    "gem_common_gen": Real(
        {"train": 12000, "validation": 4018},
        "common_gen field && stand && look",
        "The player stood in the field looking at the batter.",
    ),
}


@pytest.fixture(scope="module")
def vocabulary(shared_data):
    return Vocabulary(shared_data / "t5" / "spiece.model", 100)


@pytest.fixture(scope="module")
def tasks(shared_data, vocabulary, tmp_path_factory):
    """Tokenizes all of them in one go."""
    directory, lengths = tmp_path_factory.mktemp("cache"), {"inputs": 512, "targets": 62}
    cache = Cache(directory, vocabulary, lengths, data_dir=str(shared_data))
    names = [*DATASETS, "glue_cola_unprefixed"]
    opened = opening.ensure_cached(cache, names, report=lambda text: None)
    return {task.name: task for task in opened if isinstance(task, CachedTask)}


@pytest.mark.parametrize("name", DATASETS)
def test_a_real_dataset_is_read_whole_and_its_answers_score_100(name, tasks, vocabulary):
    task, real = tasks[name], DATASETS[name]
    assert {split: len(examples) for split, examples in task.splits.items()} == real.sizes
    assert task.labels == real.labels
    split = task.split(task.scored_split)
    assert vocabulary.decode(split.inputs[0]).startswith(real.inputs)
    assert split.target_texts[0] == real.target
    if real.labels:
        assert set(split.target_texts) == set(real.labels)
    scores = task.evaluate(task.scored_split, answers(name, split))
    assert scores == pytest.approx(dict.fromkeys(scores, 100.0))


_MIXED = ("super_glue_rte", "glue_cola", "glue_mrpc", "super_glue_boolq")


@pytest.fixture(scope="module")
def shape_count() -> int:
    """Returns how many shapes batches have if users do not say."""
    defaults = gin_files.configs_directory() / "defaults.gin"
    bindings = gin_files.read_gin_files([str(defaults)], [], []).bindings
    (count,) = (each.value for each in bindings if str(each.key) == "Setup.shape_count")
    return count


@pytest.mark.parametrize("batch_size", [16, 32])
@pytest.mark.parametrize("names", [*((name,) for name in _MIXED), _MIXED])
def test_padding_is_below_a_tenth_of_encoder_positions(names, batch_size, tasks, shape_count):
    parts = [(tasks[name].training, 1.0) for name in names]
    splits = [split for name in names for split in tasks[name].splits.values()]
    batches = Batches(
        parts,
        batch_size=batch_size,
        seed=0,
        shapes=choose_shapes(splits, shape_count, MULTIPLE),
        process_index=0,
        process_count=1,
    )
    expected = expect_positions(batches, 256, prompt_length=100)
    assert expected.padding_share < 0.1
    assert expect_positions(batches, 256, prompt_length=0).padding == expected.padding


@pytest.mark.parametrize("names", [*((name,) for name in _MIXED), _MIXED])
def test_evaluation_pads_less_than_a_tenth_of_encoder_positions(names, tasks, shape_count):
    splits = [split for name in names for split in tasks[name].splits.values()]
    scored = [(0, tasks[name].split("validation")) for name in names]
    # As on a CPU: about 1,024 positions at a time, and no pass without an example.
    encoding = Encoding(100, lambda width: 1 << ((1024 // (100 + width)).bit_length() - 1))
    positions = Positions()
    for batch in eval_batches(
        scored,
        batch_size=64,
        shapes=choose_shapes(splits, shape_count, MULTIPLE),
        encoding=encoding,
    ):
        lengths, width = (
            (batch.encoder_tokens[batch.valid] > 0).sum(1),
            batch.encoder_tokens.shape[1],
        )
        size = encoding.pass_size(width)
        fillers = -len(lengths) % size
        batch_positions = count_positions(lengths, width, prompt_length=100, fillers=fillers)
        positions = positions.plus(batch_positions)
    assert positions.padding_share < 0.1


def test_an_unprefixed_task_differs_by_the_prefix(tasks, vocabulary):
    texts = [
        vocabulary.decode(tasks[name].split("validation").inputs[7])
        for name in ("glue_cola", "glue_cola_unprefixed")
    ]
    assert texts[0] == f"cola {texts[1]}"
    assert texts[1].startswith("sentence: ")


def test_sentences_for_other_concepts_score_low(tasks):
    split = tasks["gem_common_gen"].split("validation")
    targets, fields = split.target_texts[:50], split.fields[:50]
    scores = tasks["gem_common_gen"].metrics(targets, [*targets[1:], "Nothing."], fields)
    assert set(scores) == {"bleu", "rouge1", "rouge2", "rougeLsum"}
    assert 1.0 < scores["bleu"] < scores["rouge1"] < 60.0


def answers(name, split):
    """Returns the right answers: of WSC, another noun where the target is the wrong one."""
    if name != "super_glue_wsc":
        return split.target_texts
    return [row["targets_pretokenized"] if row["label"] else "nobody" for row in split.fields]
