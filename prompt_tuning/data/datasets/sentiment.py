"""Sentiment of reviews and posts, by aspect in some datasets; and emotions."""

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from prompt_tuning.data import metrics, postprocessors
from prompt_tuning.data.datasets.dataset import (
    BadRecordError,
    Dataset,
    Example,
    Mixture,
    Record,
    classified,
    text_field,
)

_POLARITY = ("negative", "positive")
_ASPECT_POLARITY = ("negative", "neutral", "positive", "conflict")
_EMOTIONS = tuple(
    "admiration amusement anger annoyance approval caring confusion curiosity desire "
    "disappointment disapproval disgust embarrassment excitement fear gratitude grief joy love "
    "nervousness optimism pride realization relief remorse sadness surprise neutral".split()
)
_SEMEVAL = "aspect terms of SemEval-2014 task 4, alt.qcri.org/semeval2014/task4; "


def _emotions(record: Record) -> Iterator[Example]:
    """Yields a post; the target lists all its emotions."""
    for emotion in _EMOTIONS:
        if not isinstance(record[emotion], bool):
            raise BadRecordError(f"{emotion} is {record[emotion]!r}; it must be true or false")
    emotions = [emotion for emotion in _EMOTIONS if record[emotion]]
    if not emotions:
        raise BadRecordError(f"no emotion is true; one of {', '.join(_EMOTIONS)} must be")
    yield {"inputs": f"text: {text_field(record, 'comment_text')}", "targets": ", ".join(emotions)}


def _tweet(record: Record) -> Iterator[Example]:
    """Yields a post of polarity 0 or 4; neutral ones (2) occur only in the test split."""
    polarity = record["polarity"]
    if polarity not in (0, 2, 4):
        raise BadRecordError(f"polarity is {polarity!r}; it must be 0, 2 or 4")
    if polarity != 2:
        target = _POLARITY[polarity // 4]
        yield {"inputs": f"text: {text_field(record, 'text')}", "targets": target}


def _sentiment(
    name: str,
    *names: str,
    papers: tuple[str, ...],
    tfds: str | None = None,
    splits: tuple[str, ...] = ("train", "validation", "test"),
    labels: tuple[str, ...] = _POLARITY,
    sizes: Mapping[str, int],
    **others: Any,
) -> Dataset:
    """Declares a dataset of text fields and a label; `others` override further attributes."""
    most: dict[str, Any] = {
        "folder": "" if tfds else name,
        "fields": (*names, "label"),
        "format": functools.partial(classified, names=names, labels=labels),
        "prefix": name,
        "labels": labels,
        "metrics": (metrics.accuracy,),
    }
    return Dataset(
        name=name,
        family="Sentiment",
        papers=papers,
        tfds=tfds,
        splits={split: (split,) for split in splits},
        sizes=sizes,
        **most | others,
    )


DATASETS = (
    _sentiment(
        "cr",
        "sentence",
        papers=("SPoT",),
        splits=("train", "validation"),
        sizes={},
        obtain="customer reviews of Hu and Liu (2004), www.cs.uic.edu/~liub/FBS, one sentence a "
        "line; there is no standard split",
    ),
    _sentiment(
        "goemotions",
        papers=("SPoT",),
        tfds="goemotions:0.1.0",
        sizes={"train": 43410, "validation": 5426, "test": 5427},
        fields=("comment_text", *_EMOTIONS),
        format=_emotions,
        labels=(),
        postprocess=functools.partial(postprocessors.label_indices, words=_EMOTIONS),
        metrics=(functools.partial(metrics.macro_f1_of_sets, classes=len(_EMOTIONS)),),
    ),
    _sentiment(
        "sentiment140",
        papers=("SPoT",),
        tfds="sentiment140:1.0.0",
        sizes={"train": 1599000, "validation": 1000, "test": 359},
        holdout=1600,
        fields=("text", "polarity"),
        format=_tweet,
    ),
    _sentiment(
        "yelp_polarity",
        "text",
        papers=("SPoT",),
        tfds="yelp_polarity_reviews:0.2.0",
        sizes={"train": 559000, "validation": 1000, "test": 38000},
        holdout=560,
    ),
    _sentiment(
        "imdb_reviews",
        "text",
        papers=("Su",),
        tfds="imdb_reviews:1.0.0",
        sizes={"train": 24000, "validation": 1000, "test": 25000},
        holdout=25,
    ),
    _sentiment(
        "movie_rationales",
        "review",
        papers=("Su",),
        tfds="movie_rationales:0.1.0",
        sizes={"train": 1600, "validation": 200, "test": 199},
    ),
    _sentiment(
        "tweet_eval_sentiment",
        "text",
        papers=("Su",),
        labels=_ASPECT_POLARITY[:3],
        sizes={"train": 45615, "validation": 2000, "test": 12284},
        obtain="the sentiment files of github.com/cardiffnlp/tweeteval",
    ),
    _sentiment(
        "laptop",
        "sentence",
        "aspect",
        papers=("Su",),
        labels=_ASPECT_POLARITY,
        sizes={"train": 2241, "validation": 117, "test": 654},
        holdout=20,
        obtain=f"{_SEMEVAL}laptop reviews",
    ),
    _sentiment(
        "restaurant",
        "sentence",
        "aspect",
        papers=("Su",),
        labels=_ASPECT_POLARITY,
        sizes={"train": 3509, "validation": 184, "test": 1134},
        holdout=20,
        obtain=f"{_SEMEVAL}restaurant reviews",
    ),
)

MIXTURES = (
    Mixture(
        name="spot_sentiment",
        papers=("SPoT",),
        members=("cr", "goemotions", "sentiment140", "glue_sst2", "yelp_polarity"),
    ),
)
