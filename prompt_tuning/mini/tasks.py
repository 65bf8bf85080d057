"""The mini suite as SeqIO tasks and mixtures; importing this module registers them."""

# The type stubs of TensorFlow and SeqIO lack or contradict much of what the libraries do.
# pyright: reportArgumentType=false, reportInvalidTypeForm=false

import functools
import json
from pathlib import Path

import seqio
import tensorflow as tf

from prompt_tuning.data.declarations import CAP
from prompt_tuning.data.tasks import proportional_rate
from prompt_tuning.mini.examples import draw_examples
from prompt_tuning.mini.suite import MIXTURES, SUITE, MiniTask

_BACKBONE = Path(__file__).parent / "t5_mini"


def _examples(
    name: str, split: str, shuffle_files: bool, seed: int | None = None
) -> tf.data.Dataset:
    del shuffle_files, seed  # shuffling is left to the input pipeline
    examples = draw_examples(name, split)
    return tf.data.Dataset.from_tensor_slices(
        {field: [example[field] for example in examples] for field in examples[0]}
    )


def _add_task(task: MiniTask, feature: seqio.Feature) -> None:
    seqio.TaskRegistry.add(
        task.name,
        source=seqio.FunctionDataSource(
            functools.partial(_examples, task.name),
            splits=tuple(task.sizes),
            num_input_examples=dict(task.sizes),
        ),
        preprocessors=[seqio.preprocessors.tokenize, seqio.preprocessors.append_eos_after_trim],
        output_features={"inputs": feature, "targets": feature},
        postprocess_fn=task.postprocessor,
        metric_fns=[task.metric_function],
    )


def _add_suite() -> None:
    config = json.loads((_BACKBONE / "config.json").read_text(encoding="utf-8"))
    vocabulary = seqio.SentencePieceVocabulary(
        str(_BACKBONE / "sentencepiece.model"), config["vocabulary"]["extra_ids"]
    )
    feature = seqio.Feature(vocabulary, add_eos=True)
    for task in SUITE.values():
        _add_task(task, feature)
    rate = proportional_rate(CAP)
    for name, members in MIXTURES.items():
        seqio.MixtureRegistry.add(name, list(members), default_rate=rate)


_add_suite()
