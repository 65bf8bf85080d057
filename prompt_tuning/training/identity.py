"""What identifies a row's result: its settings, its data, its model and what it starts from."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from prompt_tuning.data.cached_task import CachedMixture, CachedTask
from prompt_tuning.models.weights import Backbone
from prompt_tuning.training.rows import Row
from prompt_tuning.types import UserError

_FORMAT = 2
_NO_EFFECT = (
    *("eval_batch_size", "log_period", "checkpoint_period"),
    *("slots", "pass_positions", "microbatches", "remat"),
)
"""Settings of when things are done and how much at once, which change results by rounding alone."""


class Identities:
    """Gives each row of a run a digest.

    Args:
        rows: The rows of the run.
        backbone: The pretrained model.
        tasks: The tokenised tasks and mixtures by name.
        config: Settings that all rows share, a dataclass.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        backbone: Backbone,
        tasks: Mapping[str, CachedTask | CachedMixture],
        config: Any,
    ):
        self._rows = {row.name: row for row in rows}
        self._backbone = backbone
        self._tasks = tasks
        self._config = config
        self._digests: dict[str, str] = {}

    def digest(self, row: Row) -> str:
        """Returns what identifies a row's result: its settings, task, model and source.

        Raises:
            UserError: The row waits for one that is not there, or for itself.
        """
        if row.name not in self._digests:
            self._digests[row.name] = "waiting"
            source = None
            if row.start.after is not None:
                if row.start.after not in self._rows:
                    raise UserError(f"row '{row.name}' starts from '{row.start.after}', no row")
                source = self.digest(self._rows[row.start.after])
                if source == "waiting":
                    raise UserError(f"row '{row.name}' waits for itself; give it another start")
            model = self._backbone
            backbone = [dataclasses.asdict(model.config), model.digest, model.param_dtype]
            shared = dataclasses.asdict(self._config)
            for name in _NO_EFFECT:
                shared.pop(name, None)
            context = [_FORMAT, backbone, self._tasks[row.task].digest, shared, source]
            self._digests[row.name] = row.digest(json.dumps(context))
        return self._digests[row.name]
