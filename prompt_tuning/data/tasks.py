"""The published datasets as SeqIO tasks and mixtures; importing this module registers them."""

# The type stubs of TensorFlow and SeqIO lack or contradict much of what the libraries do.
# pyright: reportArgumentType=false, reportInvalidTypeForm=false

import functools
from collections.abc import Callable

import seqio

from prompt_tuning.data.datasets.catalog import DATASETS, MIXTURES
from prompt_tuning.data.datasets.dataset import LEADERBOARD, UNPREFIXED, Dataset
from prompt_tuning.data.datasets.source import DatasetSource
from prompt_tuning.data.declarations import CAP
from prompt_tuning.data.prefix_lm import prefix_lm

T5_VOCABULARY = "gs://t5-data/vocabs/cc_all.32000.100extra/sentencepiece.model"
"""The vocabulary of T5 1.0 and 1.1, for using the tasks outside this package.

This package tokenizes tasks with the vocabulary of the model instead.
"""


def proportional_rate(maximum: int) -> Callable[[seqio.Task], float]:
    """Returns a mixing rate function: a task's number of training examples, at most `maximum`."""
    return functools.partial(_capped_examples, maximum=maximum)


def _capped_examples(task: seqio.Task, maximum: int) -> float:
    count = task.num_input_examples("train")
    if count is None:
        raise ValueError(f"the source of task {task.name} does not report its number of examples")
    return float(min(count, maximum))


def _add_dataset(dataset: Dataset, name: str, source: DatasetSource, feature: seqio.Feature):
    seqio.TaskRegistry.add(
        name,
        source=source,
        preprocessors=[
            seqio.preprocessors.tokenize,
            *([prefix_lm] if dataset.unlabeled else []),
            seqio.preprocessors.append_eos_after_trim,
        ],
        output_features={"inputs": feature, "targets": feature},
        postprocess_fn=dataset.postprocess,
        metric_fns=list(dataset.metrics),
    )


def _add_datasets() -> None:
    feature = seqio.Feature(seqio.SentencePieceVocabulary(T5_VOCABULARY, 100), add_eos=True)
    rate = proportional_rate(CAP)
    for prefixed, suffix in ((True, ""), (False, UNPREFIXED)):
        for dataset in DATASETS.values():
            if dataset.splits:
                source = DatasetSource(dataset, prefixed=prefixed)
                _add_dataset(dataset, dataset.name + suffix, source, feature)
            if dataset.leaderboard:
                source = DatasetSource(dataset, prefixed=prefixed, leaderboard=True)
                _add_dataset(dataset, dataset.name + suffix + LEADERBOARD, source, feature)
        for mixture in MIXTURES.values():
            members = [member + suffix for member in mixture.members]
            seqio.MixtureRegistry.add(mixture.name + suffix, members, default_rate=rate)


_add_datasets()
