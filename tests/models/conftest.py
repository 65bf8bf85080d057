"""A small prompted T5, and a model whose next token depends on the last one alone."""

import dataclasses
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.models.prompted import Batch, DecodeState, Encoded
from prompt_tuning.models.t5.config import T5Config
from prompt_tuning.models.t5.prompted import PromptedT5
from prompt_tuning.prompts.bank import PromptBank
from prompt_tuning.prompts.placement import prefix
from prompt_tuning.types import Array, Params

GOLDEN = Path(__file__).parents[1] / "golden"


class Case(NamedTuple):
    """A model with everything it needs."""

    model: PromptedT5
    params: Params
    bank: PromptBank
    batch: Batch

    @property
    def inputs(self) -> tuple[Params, PromptBank, Array, Array]:
        return self.params, self.bank, self.batch.encoder_tokens, self.batch.prompt_id


def answer(decoder: Callable[..., Any], model: Any, *inputs: Any, **asked: Any) -> Any:
    """Encodes `(params, bank, tokens, prompt_id)` and decodes them."""
    params = inputs[0]
    return decoder(model, params, model.encode(*inputs, None), **asked)


@dataclasses.dataclass(frozen=True)
class MarkovModel:
    """Decodes like a `PromptedT5`, with logits `table[last token]`; counts its steps.

    An input starts from token `tokens[:, 0]` of the table instead of from 0.
    """

    table: np.ndarray
    steps: list[int] = dataclasses.field(default_factory=list)

    def encode(
        self, params: Params, bank: Any, tokens: Array, prompt_id: Array, drop: None
    ) -> Encoded:
        del params, bank, prompt_id, drop
        return Encoded(tokens[:, :1, None], tokens[:, :1] > 0, ~jnp.any(tokens > 0, axis=1))

    def start_decoding(self, params: Params, encoded: Encoded, length: int) -> DecodeState:
        del params
        cache = jnp.zeros((len(encoded.mask), length))
        return DecodeState(cache, encoded.states[:, 0, 0], jnp.zeros((), jnp.int32))

    def decode_step(
        self, params: Params, tokens: Array, state: DecodeState
    ) -> tuple[Array, DecodeState]:
        del params
        jax.debug.callback(lambda index: self.steps.append(int(index)), state.index)
        last = jnp.where(state.index == 0, state.memory, tokens)
        return jnp.asarray(self.table)[last], state._replace(index=state.index + 1)


def load_golden_maker() -> ModuleType:
    """Imports `tests/golden/make_golden.py`."""
    spec = importlib.util.spec_from_file_location("make_golden", GOLDEN / "make_golden.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def one_layer(golden_maker: ModuleType) -> T5Config:
    """Returns the config of the golden T5 1.1, shortened."""
    config = golden_maker.CONFIGS["t5_1_1"]
    return dataclasses.replace(config, num_encoder_layers=1, num_decoder_layers=1)


@pytest.fixture(scope="package", autouse=True)
def quick_compilation() -> Iterator[None]:
    """Compiles with few optimizations, since compilation takes nearly all of these tests' time."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(scope="session")
def golden_maker() -> ModuleType:
    """The script that makes the golden outputs."""
    return load_golden_maker()


@pytest.fixture(scope="session")
def small(golden_maker: ModuleType) -> Case:
    """A one-layer T5 1.1 with prefix prompts: three prompts and four examples."""
    config = one_layer(golden_maker)
    batch, bank = golden_maker.examples()
    batch = Batch(*(x[:4] for x in batch))
    return Case(
        PromptedT5(config, prefix), golden_maker.parameters(config, 0), PromptBank(bank[:3]), batch
    )


@pytest.fixture(scope="session")
def placed(golden_maker: ModuleType) -> Case:
    """The same model and examples, once with every placement in one batch."""
    config = one_layer(golden_maker)
    batch, bank = golden_maker.examples()
    model = PromptedT5(config, golden_maker.every_placement)
    return Case(model, golden_maker.parameters(config, 0), PromptBank(bank), batch)


@pytest.fixture
def markov() -> type[MarkovModel]:
    """The class of models whose next token depends on the last one alone."""
    return MarkovModel
