"""GEM (Gehrmann et al. 2021) in the text-to-text format of SPoT's code.

Inputs begin with the dataset's name, followed by an instruction for simplification and
summarization. Items of a list are joined by `&&`; SPoT's code has `\\\\n`, whose backslashes T5's
vocabulary lacks. SPoT's code leaves out the dialogue acts; here they are written as
`inform(restaurant_name = Sino)`. Validation and test examples have all their references.
"""

from collections.abc import Callable, Iterator, Mapping

from prompt_tuning.data import postprocessors, text_metrics
from prompt_tuning.data.datasets.dataset import BadRecordError, Dataset, Example, Mixture, Record

_ACTS = (
    "affirm",
    "affirm_intent",
    "confirm",
    "goodbye",
    "inform",
    "inform_count",
    "inform_intent",
    "negate",
    "negate_intent",
    "notify_failure",
    "notify_success",
    "offer",
    "offer_intent",
    "request",
    "request_alts",
    "req_more",
    "select",
    "thank_you",
)


def _common_gen(record: Record) -> Iterator[Example]:
    yield _example(record, _joined(record["concepts"]))


def _dart(record: Record) -> Iterator[Example]:
    yield _example(record, _joined(record["tripleset"]))


def _e2e_nlg(record: Record) -> Iterator[Example]:
    yield _example(record, record["meaning_representation"])


def _schema_guided_dialog(record: Record) -> Iterator[Example]:
    acts = record["dialog_acts"]
    said = [
        _act(act, slot, values)
        for act, slot, values in zip(acts["act"], acts["slot"], acts["values"], strict=True)
    ]
    yield _example(
        record, f"service: {record['service']} prompt: {record['prompt']} acts: {_joined(said)}"
    )


def _web_nlg_en(record: Record) -> Iterator[Example]:
    yield _example(record, _joined(record["input"]))


def _source(record: Record) -> Iterator[Example]:
    yield _example(record, record["source"])


def _xsum(record: Record) -> Iterator[Example]:
    yield _example(record, record["document"])


def _example(record: Record, inputs: str) -> Example:
    # Training records have one target and no references.
    references = record.get("references") or [record["target"]]
    return {"inputs": inputs, "targets": record["target"], "answers": list(references)}


def _joined(items: list[str]) -> str:
    return " && ".join(items)


def _act(act: int, slot: str, values: list[str]) -> str:
    if not 0 <= act < len(_ACTS):
        raise BadRecordError(f"act is {act!r}; it must be 0 to {len(_ACTS) - 1}")
    inside = f"{slot} = {', '.join(values)}" if values else slot
    return f"{_ACTS[act]}({inside})" if inside else _ACTS[act]


def _gem(
    name: str,
    write: Callable[[Record], Iterator[Example]],
    *,
    fields: tuple[str, ...],
    sizes: Mapping[str, int],
    instruction: str = "",
    test: tuple[str, ...] = ("test",),
) -> Dataset:
    splits = {"train": ("train",), "validation": ("validation",)}
    return Dataset(
        name=f"gem_{name}",
        family="GEM",
        papers=("SPoT",),
        tfds=f"gem/{name}:1.1.0",
        splits=splits | ({"test": test} if test else {}),
        sizes=sizes,
        fields=fields,
        format=write,
        prefix=f"{name} {instruction}".strip(),
        postprocess=postprocessors.answers,
        metrics=(text_metrics.bleu, text_metrics.rouge),
    )


DATASETS = (
    _gem(
        "common_gen",
        _common_gen,
        fields=("concepts", "target"),
        sizes={"train": 67389, "validation": 993},
        test=(),  # its references are held back
    ),
    _gem(
        "dart",
        _dart,
        fields=("tripleset", "target"),
        sizes={"train": 62659, "validation": 2768, "test": 5097},
    ),
    _gem(
        "e2e_nlg",
        _e2e_nlg,
        fields=("meaning_representation", "target"),
        sizes={"train": 33525, "validation": 4299, "test": 4693},
    ),
    _gem(
        "schema_guided_dialog",
        _schema_guided_dialog,
        fields=("service", "prompt", "dialog_acts", "target"),
        sizes={"train": 164982, "validation": 10000, "test": 10000},
    ),
    _gem(
        "web_nlg_en",
        _web_nlg_en,
        fields=("input", "target"),
        sizes={"train": 35426, "validation": 1667, "test": 1779},
    ),
    _gem(
        "wiki_auto_asset_turk",
        _source,
        fields=("source", "target"),
        sizes={"train": 483801, "validation": 20000, "test": 718},
        instruction="simplify:",
        test=("test_asset", "test_turk"),
    ),
    _gem(
        "xsum",
        _xsum,
        fields=("document", "target"),
        sizes={"train": 23206, "validation": 1117, "test": 1166},
        instruction="summarize:",
    ),
    _gem(
        "wiki_lingua_english_en",
        _source,
        fields=("source", "target"),
        sizes={"train": 99020, "validation": 13823, "test": 28614},
        instruction="summarize:",
    ),
)

MIXTURES = (
    Mixture(name="gem", papers=("SPoT",), members=tuple(dataset.name for dataset in DATASETS)),
)
