"""T5 1.0 and 1.1 with T5X's parameter names and layouts (Raffel et al. 2020; Shazeer 2020).

The encoder takes embeddings, so that a soft prompt can be joined to the embedded tokens.
"""

import flax.linen as nn
import jax.numpy as jnp

from prompt_tuning.models.prompted import DecodeState, Dropout
from prompt_tuning.models.t5.config import T5Config
from prompt_tuning.models.t5.decoder import Decoder, Memory
from prompt_tuning.models.t5.encoder import Encoder
from prompt_tuning.models.t5.layers import Cache, attention_bias, statistics_dtype
from prompt_tuning.types import Array


class T5(nn.Module):
    """A T5 encoder-decoder that takes token ids or embeddings.

    Attributes:
        config: The shape of the model.
        remat: Whether the backward pass recomputes each block instead of keeping its activations:
            less memory for about a third more time.
    """

    config: T5Config
    remat: bool = False

    def setup(self):
        c = self.config
        self.token_embedder = nn.Embed(
            c.vocab_size,
            c.emb_dim,
            dtype=jnp.dtype(c.dtype),
            embedding_init=nn.initializers.normal(1.0),
        )
        self.encoder = Encoder(c, self.remat)
        self.decoder = Decoder(c, self.remat)

    def __call__(self, encoder_tokens: Array, decoder_tokens: Array) -> Array:
        """Returns the logits `[B, L, V]` of tokens `[B, T]` and shifted targets `[B, L]`."""
        mask = encoder_tokens > 0
        encoded = self.encode(self.embed(encoder_tokens), mask, None)
        return self.decode(encoded, mask, decoder_tokens, None)

    def embed(self, tokens: Array) -> Array:
        """Returns the embeddings `[B, T, H]` of tokens `[B, T]` in the compute dtype."""
        return self.token_embedder(tokens)

    def encode(self, embedded: Array, mask: Array, drop: Dropout | None) -> Array:
        """Encodes embeddings.

        Args:
            embedded: `[B, T, H]`, soft prompts included.
            mask: `[B, T]` bool, False at padding.
            drop: Dropout rate and keys, or None for no dropout.

        Returns:
            `[B, T, H]`, zero at padding.
        """
        return self.encoder(embedded.astype(jnp.dtype(self.config.dtype)), mask, drop)

    def decode(
        self, encoded: Array, encoder_mask: Array, decoder_tokens: Array, drop: Dropout | None
    ) -> Array:
        """Returns the logits `[B, L, V]` of every target token given shifted targets `[B, L]`."""
        hidden = self.decoder(
            self.embed(decoder_tokens), encoded, self._encoder_bias(encoder_mask), drop
        )
        return self._logits(hidden)

    def start_decoding(self, encoded: Array, encoder_mask: Array, length: int) -> DecodeState:
        """Returns the state before the first of at most `length` decoded tokens."""
        c = self.config
        shape = (encoded.shape[0], c.num_heads, length, c.head_dim)
        empty = Cache(jnp.zeros(shape, jnp.dtype(c.dtype)), jnp.zeros(shape, jnp.dtype(c.dtype)))
        return DecodeState(
            cache=(empty,) * c.num_decoder_layers,
            memory=Memory(
                encoded if length < c.head_dim else self.decoder.memories(encoded),
                self._encoder_bias(encoder_mask),
            ),
            index=jnp.zeros((), jnp.int32),
        )

    def decode_step(self, tokens: Array, state: DecodeState) -> tuple[Array, DecodeState]:
        """Decodes one token per row.

        Args:
            tokens: `[B]`, the tokens decoded last (0 at the start).
            state: The state before this step.

        Returns:
            Logits `[B, V]` of the next token, and the state after it.
        """
        hidden, cache = self.decoder.step(self.embed(tokens[:, None]), state)
        state = state._replace(cache=cache, index=state.index + 1)
        return self._logits(hidden)[:, 0], state

    def _encoder_bias(self, encoder_mask: Array) -> Array:
        return attention_bias(encoder_mask, statistics_dtype(self.config.dtype))

    def _logits(self, hidden: Array) -> Array:
        c = self.config
        if c.tied_embeddings:
            logits = self.token_embedder.attend(hidden * c.emb_dim**-0.5)
        else:
            logits = self.decoder.logits_dense(hidden)
        return logits.astype(statistics_dtype(logits.dtype))
