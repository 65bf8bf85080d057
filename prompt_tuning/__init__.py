"""Soft prompt tuning and soft prompt transfer on a frozen T5.

    import prompt_tuning as pt

    model = pt.open_model("t5_mini")
    result = pt.tune(model, pt.open_task("mini_sst2", model), steps=200, seeds=(0, 1, 2))

The names below load when they are first asked for; `docs/python.md` shows them all.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prompt_tuning.api.model import Model as Model
    from prompt_tuning.api.model import open_model as open_model
    from prompt_tuning.api.scoring import answer as answer
    from prompt_tuning.api.scoring import score as score
    from prompt_tuning.api.task import Task as Task
    from prompt_tuning.api.task import make_task as make_task
    from prompt_tuning.api.task import open_task as open_task
    from prompt_tuning.api.tuning import Result as Result
    from prompt_tuning.api.tuning import tune as tune
    from prompt_tuning.prompts.files import Prompt as Prompt
    from prompt_tuning.prompts.files import load as load_prompt  # noqa: F401
    from prompt_tuning.types import UserError as UserError

__version__ = "0.1.0"

_NAMES = {
    **dict.fromkeys(("Model", "open_model"), "api.model"),
    **dict.fromkeys(("Task", "make_task", "open_task"), "api.task"),
    **dict.fromkeys(("Result", "tune"), "api.tuning"),
    **dict.fromkeys(("answer", "score"), "api.scoring"),
    **dict.fromkeys(("Prompt", "load_prompt"), "prompts.files"),
    "UserError": "types",
}
"""Where each public name is from."""
_THERE = {"load_prompt": "load"}
"""What names are called there, where that differs."""


def __getattr__(name: str) -> Any:
    """Imports the module of a public name when it is first asked for."""
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    module = importlib.import_module(f"{__name__}.{_NAMES[name]}")
    globals()[name] = value = getattr(module, _THERE.get(name, name))
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES})
