"""The text encoder: from sentences to vectors in the space of CLIP's images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor

from adbench import UsageError
from adbench_clip.architecture import Architecture

AT_ONCE = 64
"""Sentences that are encoded together."""


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

    def _encoded(self, tokens: Tensor) -> Tensor:
        """The output of ``encode_text``, [N, D].

        Where attention is causal and the end token gives the sentence, tokens behind the end are not
        computed, which is five times as fast for prompts.
        """
        tower = self._tower
        if tower.attn_mask is None or tower.text_pool_type != "argmax" or not isinstance(tower.text_projection, Tensor):
            encoded: Tensor = tower.encode_text(tokens)
            return encoded
        ends = tokens.argmax(dim=1)
        length = int(ends.max()) + 1
        hidden = tower.token_embedding(tokens[:, :length]) + tower.positional_embedding[:length]
        hidden = tower.ln_final(tower.transformer(hidden, attn_mask=tower.attn_mask[:length, :length]))
        ended: Tensor = hidden[torch.arange(len(tokens), device=tokens.device), ends] @ tower.text_projection
        return ended

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
