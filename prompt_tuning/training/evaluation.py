"""Evaluates any number of prompts on any number of tasks, in mixed batches."""

import collections
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from prompt_tuning.data import ragged
from prompt_tuning.data.batches.evaluation import Encoding, EvalBatch, Item, eval_batches
from prompt_tuning.data.batches.shapes import smallest_fit
from prompt_tuning.data.cached_task import CachedTask
from prompt_tuning.data.metrics import score
from prompt_tuning.data.vocabulary import Vocabulary
from prompt_tuning.models.decoding import EOS, Decoder
from prompt_tuning.models.family import PromptedModel
from prompt_tuning.models.prompted import Batch
from prompt_tuning.models.scoring import Rank, log_likelihood
from prompt_tuning.prompts.bank import Bank
from prompt_tuning.training import partitioning
from prompt_tuning.types import Array, Params, UserError

_AHEAD = 2  # batches in flight per layout

OnLayouts = Mapping[str, Params]
"""A model's parameters on each layout, keyed by layout name."""


class Evaluator:
    """Predicts and scores with the prompts of a bank.

    Methods use the frozen parameters unless they are passed other parameters of the same model.

    Args:
        model: The prompted model.
        frozen: Its parameters on each layout, keyed by layout name.
        layouts: Where forward passes run; batches are assigned round-robin.
        vocabulary: Turns predicted ids into text.
        decoder: Generates or ranks answers.
        batch_size: Examples per batch.
        shapes: Pairs (T, L) that inputs and targets are padded to.

    Raises:
        UserError: The batch size is not positive, or not a multiple of a layout's devices.
    """

    def __init__(
        self,
        model: PromptedModel,
        frozen: OnLayouts,
        layouts: Sequence[partitioning.Layout],
        vocabulary: Vocabulary,
        decoder: Decoder,
        *,
        batch_size: int,
        shapes: Sequence[tuple[int, int]],
    ):
        if batch_size < 1:
            raise UserError(f"the evaluation batch size must be at least 1, not {batch_size}")
        for layout in layouts:
            layout.check_batch(batch_size)
        self._model = model.with_positions(partitioning.encoded_positions())
        self._frozen = frozen
        self._layouts = layouts
        self._vocabulary = vocabulary
        self._decoder = decoder
        self._batch_size = batch_size
        self._shapes = shapes
        length = max(target_length for _, target_length in shapes)
        self._decode_batch = _decode_function(self._model, decoder, length)

    def compile(self, bank: Bank, layout: partitioning.Layout) -> None:
        """Compiles decoding on a layout for every input length.

        Args:
            bank: A bank of the same shapes as those to evaluate.
            layout: Where to compile.
        """
        on_layout, labels = layout.put(bank), self._label_tokens(())
        rows = np.arange(self._batch_size)
        for width in sorted({width for width, _ in self._shapes}):
            tokens = np.zeros((self._batch_size, width), np.int32)
            batch = EvalBatch(tokens, np.zeros_like(rows), rows, rows, rows < 0)
            self._decode(layout, self._frozen[layout.name], on_layout, batch, labels)

    def predict(
        self,
        bank: Bank,
        items: Sequence[Item],
        labels: Sequence[tuple[str, ...]],
        params: OnLayouts | None = None,
    ) -> list[list[str]]:
        """Predicts the answer to every example of each item.

        Examples of different prompts share batches. Where labels are ranked, only examples with
        the same labels do.

        Args:
            bank: The prompts.
            items: Pairs of a prompt id in `bank` and a split.
            labels: For each item, the labels of its task.
            params: Parameters to use instead of the frozen ones.

        Returns:
            For each item, the predicted text of each example, in order.

        Raises:
            UserError: The decoder ranks labels, and an item has none.
        """
        texts = [[""] * len(split) for _, split in items]
        ranking = isinstance(self._decoder, Rank)
        if ranking and not all(labels):
            raise UserError(
                "@Rank() chooses among labels, and there are none; give labels, or use @Greedy()"
            )
        for group in dict.fromkeys(labels if ranking else [()]):
            members = [i for i in range(len(items)) if not ranking or labels[i] == group]
            decode = functools.partial(self._decode, labels=self._label_tokens(group))
            group_items = [items[i] for i in members]
            for item, example, ids in self.map(bank, group_items, decode, params):
                texts[members[item]][example] = self._vocabulary.decode(ids)
        return texts

    def likelihoods(
        self, bank: Bank, items: Sequence[Item], params: OnLayouts | None = None
    ) -> list[np.ndarray]:
        """Returns log p(target | input) of each example of each item, in order, in nats.

        Args:
            bank: The prompts.
            items: Pairs of a prompt id in `bank` and a split.
            params: Parameters to use instead of the frozen ones.
        """
        likelihood = _likelihood_function(self._model)

        def batch_likelihoods(
            layout: partitioning.Layout, params: Params, bank: Bank, batch: EvalBatch
        ) -> Array:
            return likelihood(params, bank, self.with_targets(layout, items, batch))

        values = [np.zeros(len(split)) for _, split in items]
        for item, example, value in self.map(bank, items, batch_likelihoods, params):
            values[item][example] = value
        return values

    def score(
        self,
        bank: Bank,
        items: Sequence[tuple[int | Sequence[int], Sequence[CachedTask]]],
        split: str | None,
        params: OnLayouts | None = None,
    ) -> list[dict[str, float]]:
        """Scores prompts on a split of their tasks.

        Args:
            bank: The prompts.
            items: Pairs of a prompt id in `bank` and its tasks (one, or those of a mixture); or of
                several ids, one per task.
            split: `validation` or `test`; None for each task's `scored_split`.
            params: Parameters to use instead of the frozen ones.

        Returns:
            For each item, its metrics and `score`, 0-100: the mean over a task's metrics, then over
            a mixture's tasks. Metrics of a mixture are named `<task>/<metric>`.

        Raises:
            UserError: The decoder ranks labels and a task has none, or a split has only tokens.
        """
        flat = [
            (prompt, task, split or task.scored_split)
            for entry, tasks in items
            for prompt, task in zip(_entries(entry, len(tasks)), tasks, strict=True)
        ]
        open_ended = sorted(
            {task.name for _, task, _ in flat if task.reads_answers and not task.labels}
        )
        if isinstance(self._decoder, Rank) and open_ended:
            raise UserError(
                f"@Rank() chooses among labels, and {', '.join(open_ended)} has none; "
                "use @Greedy() for open answers"
            )
        for _, task, name in flat:
            if not task.split(name).has_fields:
                raise UserError(
                    f"the {name} split of {task.name} holds only tokens and cannot be scored; "
                    "use validation or test"
                )
        values = self._metrics(bank, flat, params)
        merged, start = [], 0
        for _, tasks in items:
            task_metrics = values[start : start + len(tasks)]
            start += len(tasks)
            metrics = task_metrics[0] if len(tasks) == 1 else _prefix_names(tasks, task_metrics)
            merged.append({**metrics, "score": float(np.mean([score(m) for m in task_metrics]))})
        return merged

    def map(
        self,
        bank: Bank,
        items: Sequence[Item],
        function: Callable[[partitioning.Layout, Params, Bank, EvalBatch], Any],
        params: OnLayouts | None = None,
    ) -> Iterator[tuple[int, int, Any]]:
        """Applies a function to every example of each item, in batches.

        Examples of all items share batches, sorted by length; batches are assigned to the layouts
        round-robin. For example, to read the neurons of a feed-forward layer:

            capture = jax.jit(model.capture)

            def neurons(layout, params, bank, batch):
                return capture(params, bank, evaluator.with_targets(layout, items, batch))

            for item, example, activations in evaluator.map(bank, items, neurons):
                ...

        Args:
            bank: The prompts.
            items: Pairs of a prompt id in `bank` and a split.
            function: Called with a layout, the parameters and bank on that layout, and a batch on
                the host. Returns an array or a tree of arrays `[B, ...]`. It should not block: it
                is called a few batches ahead.
            params: Parameters to use instead of the frozen ones.

        Yields:
            The index of an item, the index of an example in its split, and the output of `function`
            for that example: NumPy arrays `[...]`. Every example comes once, in no particular
            order.
        """
        params = self._frozen if params is None else params
        banks = {layout.name: layout.put(bank) for layout in self._layouts}
        encoding = Encoding(
            bank.length, lambda width: self._model.pass_size(self._batch_size, bank.length + width)
        )
        batches = eval_batches(
            items, batch_size=self._batch_size, shapes=self._shapes, encoding=encoding
        )
        running = collections.deque()
        for i, batch in enumerate(batches):
            layout = self._layouts[i % len(self._layouts)]
            output = function(layout, params[layout.name], banks[layout.name], batch)
            running.append((batch, output))
            if len(running) > _AHEAD * len(self._layouts):
                yield from _split_examples(*running.popleft())
        for batch, output in running:
            yield from _split_examples(batch, output)

    def with_targets(
        self, layout: partitioning.Layout, items: Sequence[Item], batch: EvalBatch
    ) -> Batch:
        """Adds targets to a batch of `map` and puts it on a layout.

        Args:
            layout: Where to put the batch.
            items: The items passed to `map`.
            batch: A batch passed to the function of `map`.

        Returns:
            The batch on the layout, targets padded to the smallest of the shapes that fits.
        """
        lengths = [(length, 0) for length in sorted({length for _, length in self._shapes})]
        targets = _targets(items, batch, lengths)
        rows = (batch.encoder_tokens, targets, batch.prompt_id.astype(np.int32))
        return Batch(*layout.put_batch(rows, axis=0))

    def _metrics(
        self, bank: Bank, flat: Sequence[tuple[int, CachedTask, str]], params: OnLayouts | None
    ) -> list[dict[str, float]]:
        """Returns the metrics of each prompt on each split, from answers or likelihoods."""
        items = [(prompt, task.split(name)) for prompt, task, name in flat]
        answered = [i for i, (_, task, _) in enumerate(flat) if task.reads_answers]
        rated = [i for i, (_, task, _) in enumerate(flat) if task.reads_scores]
        texts: dict[int, list[str]] = {}
        scores: dict[int, Any] = {}
        if answered:
            labels = [flat[i][1].choices for i in answered]
            answers = self.predict(bank, [items[i] for i in answered], labels, params)
            texts = dict(zip(answered, answers, strict=True))
        if rated:
            likelihoods = self.likelihoods(bank, [items[i] for i in rated], params)
            scores = dict(zip(rated, likelihoods, strict=True))
        return [
            task.evaluate(name, texts.get(i, [""] * len(items[i][1])), scores.get(i))
            for i, (_, task, name) in enumerate(flat)
        ]

    def _decode(
        self,
        layout: partitioning.Layout,
        params: Params,
        bank: Bank,
        batch: EvalBatch,
        labels: np.ndarray,
    ) -> Array:
        """Starts decoding one batch on a layout, without blocking."""
        ids = (batch.prompt_id.astype(np.int32), batch.example.astype(np.uint32))
        examples = layout.put_batch((batch.encoder_tokens, *ids), axis=0)
        return self._decode_batch(params, bank, *examples, layout.put(labels))

    def _label_tokens(self, labels: tuple[str, ...]) -> np.ndarray:
        """Returns the tokens of labels with EOS, `[K, L]`, 0 at padding."""
        pieces = [[*self._vocabulary.encode(label), EOS] for label in labels]
        tokens = np.zeros((len(pieces), max(map(len, pieces), default=1)), np.int32)
        for row, ids in zip(tokens, pieces, strict=True):
            row[: len(ids)] = ids
        return tokens


@functools.cache
def _decode_function(model: PromptedModel, decoder: Decoder, length: int) -> Callable[..., Array]:
    """Returns the jitted decoding of a batch, cached across evaluators."""

    @jax.jit
    def decode(
        params: Params, bank: Bank, tokens: Array, prompt_id: Array, number: Array, labels: Array
    ) -> Array:
        encoded = model.encode(params, bank, tokens, prompt_id, None)
        return decoder(model, params, encoded, length=length, number=number, labels=labels)

    return decode


@functools.cache
def _likelihood_function(model: PromptedModel) -> Callable[..., Array]:
    """Returns the jitted `log_likelihood` of a batch, cached across evaluators."""
    return jax.jit(functools.partial(log_likelihood, model))


def _split_examples(batch: EvalBatch, output: Any) -> Iterator[tuple[int, int, Any]]:
    """Yields item, example and output of every example of a batch; blocks on the output."""
    output = jax.device_get(output)
    rows = zip(batch.item, batch.example, batch.valid, strict=True)
    for row, (item, example, valid) in enumerate(rows):
        if valid:
            yield int(item), int(example), jax.tree.map(lambda x, row=row: x[row], output)


def _targets(
    items: Sequence[Item], batch: EvalBatch, lengths: Sequence[tuple[int, int]]
) -> np.ndarray:
    """Returns the targets of a batch, `[B, L]`, padded to the smallest of `lengths` that fits."""
    rows = [
        items[item][1].targets[example]
        for item, example in zip(batch.item, batch.example, strict=True)
    ]
    longest = np.array([max(map(len, rows))])
    length = lengths[int(smallest_fit(lengths, longest, np.zeros(1))[0])][0]
    return ragged.from_sequences(rows).padded(np.arange(len(rows)), length)


def _entries(entry: int | Sequence[int], tasks: int) -> Sequence[int]:
    return [entry] * tasks if isinstance(entry, int) else entry


def _prefix_names(
    tasks: Sequence[CachedTask], values: Sequence[dict[str, float]]
) -> dict[str, float]:
    return {
        f"{task.name}/{name}": value
        for task, metrics in zip(tasks, values, strict=True)
        for name, value in metrics.items()
    }
