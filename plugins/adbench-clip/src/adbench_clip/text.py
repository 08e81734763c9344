"""The text encoder: from sentences to vectors in the space of CLIP's images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor

from adbench import UsageError
from adbench_clip.architecture import Architecture

AT_ONCE = 64
"""Sentences that are encoded together."""


class EmbeddedText(NamedTuple):
    """Sentences as vectors of their words.

    Attributes:
        words: [N, L, W]: begin, words, end and padding, without their positions.
        ends: [N] int64, the place of each sentence's end.
    """

    words: Tensor
    ends: Tensor


class TextEncoder:
    """A text tower that encodes sentences as open_clip's ``encode_text`` does.

    Args:
        tower: from `loading.text_tower`, on the device that is to compute.
        architecture: whose tower it is.
        who: for messages.
    """

    def __init__(self, tower: Any, architecture: Architecture, who: str) -> None:
        options = architecture.content["text_cfg"]
        self._tower, self._who = tower.eval(), who
        self._tokenizer = SimpleTokenizer(
            context_length=options.get("context_length", 77), **(options.get("tokenizer_kwargs") or {})
        )

    def encode(self, sentences: Sequence[str]) -> Tensor:
        """The embeddings of sentences, [N, D] float32, not normalised.

        Raises:
            UsageError: a sentence is longer than the tower reads; open_clip would cut it off silently.
        """
        tokens = self._tokens(sentences).to(self._tower.token_embedding.weight.device)
        with torch.no_grad():
            parts = [self._encoded(some) for some in torch.split(tokens, AT_ONCE)]
        return torch.cat(parts).float()

    def embedded(self, sentences: Sequence[str]) -> EmbeddedText:
        """The sentences as vectors of words, up to the end of the longest one.

        Raises:
            UsageError: as `encode`; or the tower gives the vector of a sentence otherwise than CLIP's.
        """
        if not self._reads_to_the_end:
            raise UsageError(
                f"{self._who}: its text tower does not read from left to right to a token of the end, as CLIP's do; use"
                " another model"
            )
        return self._embedded(self._tokens(sentences).to(self._tower.token_embedding.weight.device))

    def read(self, text: EmbeddedText) -> Tensor:
        """The embeddings of sentences, [N, D], as a function of the vectors of their words."""
        tower, length = self._tower, text.words.shape[1]
        hidden = text.words + tower.positional_embedding[:length]
        hidden = tower.ln_final(tower.transformer(hidden, attn_mask=tower.attn_mask[:length, :length]))
        ended: Tensor = hidden[torch.arange(len(hidden), device=hidden.device), text.ends] @ tower.text_projection
        return ended

    @property
    def _reads_to_the_end(self) -> bool:
        """Whether attention is causal and the end token gives the sentence."""
        tower = self._tower
        projected = isinstance(tower.text_projection, Tensor)
        return tower.attn_mask is not None and tower.text_pool_type == "argmax" and projected

    def _embedded(self, tokens: Tensor) -> EmbeddedText:
        ends = tokens.argmax(dim=1)
        return EmbeddedText(self._tower.token_embedding(tokens[:, : int(ends.max()) + 1]), ends)

    def _encoded(self, tokens: Tensor) -> Tensor:
        """The output of ``encode_text``, [N, D].

        Where attention is causal and the end token gives the sentence, tokens behind the end are not
        computed, which is five times as fast for prompts.
        """
        if not self._reads_to_the_end:
            encoded: Tensor = self._tower.encode_text(tokens)
            return encoded
        return self.read(self._embedded(tokens))

    def _tokens(self, sentences: Sequence[str]) -> Tensor:
        """[N, L] int64: begin, words, end, and zeros."""
        most = self._tokenizer.context_length
        for sentence in sentences:
            length = len(self._tokenizer.encode(sentence)) + 2
            if length > most:
                raise UsageError(
                    f"{self._who}: the prompt {sentence!r} is {length} tokens long, begin and end included, but the "
                    f"model reads {most}; shorten it"
                )
        tokens: Tensor = self._tokenizer(list(sentences))
        return tokens
