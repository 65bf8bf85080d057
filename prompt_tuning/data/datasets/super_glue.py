"""SuperGLUE (Wang et al. 2019b) in the text-to-text format of Raffel et al. (2020)."""

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from prompt_tuning.data import group_metrics, metrics, postprocessors
from prompt_tuning.data.datasets.dataset import (
    SPLIT,
    BadRecordError,
    Dataset,
    Example,
    Mixture,
    Record,
    classified,
    label_word,
    named_fields,
    text_field,
    texts_field,
)

_SPLITS = {"train": ("train",), "validation": ("validation",)}
_TRUTH = ("False", "True")
_ENTAILMENT = ("entailment", "not_entailment")
_PAIR = ("hypothesis", "premise")


def _multirc(record: Record) -> Iterator[Example]:
    """Yields one answer to a question, with markup removed from the paragraph."""
    text = named_fields(record, ("question", "answer", "paragraph"))
    yield {
        "inputs": re.sub("</?b>", "", text.replace("<br>", " ")),
        "targets": label_word(record, _TRUTH),
        **{f"idx_{part}": record["idx"][part] for part in ("paragraph", "question", "answer")},
    }


def _record(record: Record) -> Iterator[Example]:
    """Yields one example per answer in training, and one per query otherwise."""
    # Bullet points follow the text; those without final punctuation get a full stop.
    passage = re.sub(r"([.?!\"'])\n@highlight\n", r"\1 ", text_field(record, "passage"))
    passage = passage.replace("\n@highlight\n", ". ")
    query, entities = text_field(record, "query"), ", ".join(texts_field(record, "entities"))
    answers = texts_field(record, "answers")
    for answer in answers if record[SPLIT] == "train" else [(answers or [""])[0]]:
        yield {
            "inputs": f"query: {query} entities: {entities} passage: {passage}",
            "targets": answer,
            "answers": answers,
            **{f"idx_{part}": record["idx"][part] for part in ("passage", "query")},
        }


def _wsc(record: Record) -> Iterator[Example]:
    """Yields a text with its pronoun marked; the target is the noun it may refer to.

    Training uses only true pairs, so that the model learns to name the referent.
    """
    label = record["label"]
    label_word(record, _TRUTH)  # checks the label
    if record[SPLIT] == "train" and label != 1:
        return
    yield {
        "inputs": _marked(
            text_field(record, "text"), text_field(record, "span2_text"), record["span2_index"]
        ),
        "targets": text_field(record, "span1_text"),
        "label": label,
        "idx": record.get("idx", -1),
    }


def _marked(text: str, pronoun: str, index: int) -> str:
    """Puts stars around a pronoun; the index, in words, may be slightly off."""
    words = text.split(" ")
    places = [
        place for place, word in enumerate(words) if re.fullmatch(rf"{re.escape(pronoun)}\W*", word)
    ]
    if not places:
        raise BadRecordError(f"span2_text is {pronoun!r}, which is not a word of the text")
    place = min(places, key=lambda start: abs(start - index))
    after = words[place].removeprefix(pronoun)
    words[place] = f"*{pronoun}*" + (f" {after}" if after else "")
    return " ".join(words)


def _premise_first(record: Record) -> Iterator[Example]:
    """Yields a pair of AX-b, renaming its fields to those of RTE."""
    pair = {"premise": record["sentence1"], "hypothesis": record["sentence2"]}
    yield from classified({**record, **pair}, names=_PAIR, labels=_ENTAILMENT)


def _super_glue(
    config: str,
    *,
    papers: tuple[str, ...] = ("Lester", "SPoT"),
    names: tuple[str, ...],
    labels: tuple[str, ...] = _TRUTH,
    sizes: Mapping[str, int],
    **others: Any,
) -> Dataset:
    """Declares a task of named text fields; `others` override the attributes of most tasks."""
    most: dict[str, Any] = {
        "name": f"super_glue_{config}",
        "splits": _SPLITS,
        "leaderboard": ("test",),
        "fields": (*names, "label"),
        "format": functools.partial(classified, names=names, labels=labels),
        "prefix": config,
        "metrics": (metrics.accuracy,),
    }
    return Dataset(
        family="SuperGLUE",
        papers=papers,
        tfds=f"super_glue/{config}:1.0.2",
        labels=labels,
        sizes=sizes,
        **most | others,
    )


DATASETS = (
    _super_glue(
        "boolq",
        names=("passage", "question"),
        sizes={"train": 9427, "validation": 3270, "leaderboard": 3245},
    ),
    _super_glue(
        "cb",
        names=_PAIR,
        labels=("entailment", "contradiction", "neutral"),
        sizes={"train": 250, "validation": 56, "leaderboard": 250},
        metrics=(functools.partial(metrics.macro_f1, classes=3), metrics.accuracy),
    ),
    _super_glue(
        "copa",
        names=("choice1", "choice2", "premise", "question"),
        labels=("choice1", "choice2"),
        sizes={"train": 400, "validation": 100, "leaderboard": 500},
    ),
    _super_glue(
        "multirc",
        names=("question", "answer", "paragraph"),
        sizes={"train": 27243, "validation": 4848, "leaderboard": 9693},
        fields=("question", "answer", "paragraph", "label", "idx"),
        format=_multirc,
        postprocess=functools.partial(
            postprocessors.grouped_label_index,
            labels=_TRUTH,
            group=("idx_paragraph", "idx_question"),
        ),
        metrics=(group_metrics.f1a, group_metrics.exact_match),
    ),
    _super_glue(
        "record",
        names=("query", "passage"),
        labels=(),
        sizes={"train": 138854, "validation": 10000, "leaderboard": 10000},
        fields=("query", "entities", "passage", "answers", "idx"),
        format=_record,
        postprocess=postprocessors.answers,
        metrics=(metrics.exact_match, metrics.token_f1),
    ),
    _super_glue(
        "rte",
        names=_PAIR,
        labels=_ENTAILMENT,
        sizes={"train": 2490, "validation": 277, "leaderboard": 3000},
    ),
    _super_glue(
        "wic",
        names=("sentence1", "sentence2", "word"),
        sizes={"train": 5428, "validation": 638, "leaderboard": 1400},
    ),
    _super_glue(
        "wsc.fixed",
        name="super_glue_wsc",
        names=("text", "span1_text", "span2_text", "span2_index"),
        labels=(),
        sizes={"train": 259, "validation": 104, "leaderboard": 146},
        format=_wsc,
        prefix="wsc:",
        postprocess=postprocessors.is_referent,
    ),
    _super_glue(
        "axb",
        papers=("SPoT",),
        names=("sentence1", "sentence2"),
        labels=_ENTAILMENT,
        sizes={"leaderboard": 1104},
        splits={},
        format=_premise_first,
        prefix="rte",
    ),
    _super_glue(
        "axg",
        papers=("SPoT",),
        names=_PAIR,
        labels=_ENTAILMENT,
        sizes={"leaderboard": 356},
        splits={},
        prefix="rte",
    ),
)

_MEMBERS = ("boolq", "cb", "copa", "multirc", "record", "rte", "wic", "wsc")

MIXTURES = (
    Mixture(
        name="super_glue",
        papers=("SPoT",),
        members=tuple(f"super_glue_{task}" for task in _MEMBERS),
    ),
)
