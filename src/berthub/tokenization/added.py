"""Added tokens: what a pipeline of the tokenizers library looks for in a text before it splits it into words."""

import dataclasses

import tokenizers

from berthub.errors import CheckpointError
from berthub.vocabulary import AddedToken, Vocabulary

__all__ = ["look_for_added"]


def look_for_added(pipeline: tokenizers.Tokenizer, vocabulary: Vocabulary) -> None:
    """Let the pipeline look for the vocabulary's added tokens; where it has none, for its special pieces.

    `CheckpointError` where the appended pieces are not in the order in which the library counts them.
    """
    special = tuple(AddedToken(content=piece, normalized=False, special=True) for piece in vocabulary.special)
    tokens = vocabulary.added or special
    pipeline.add_tokens([tokenizers.AddedToken(**dataclasses.asdict(token)) for token in tokens])
    for content in (token.content for token in tokens):
        if pipeline.token_to_id(content) != vocabulary.ids[content]:
            raise CheckpointError(
                f"the added token {content!r} has the id {vocabulary.ids[content]}, and where it stands among the "
                f"added tokens, the tokenizers library gives it {pipeline.token_to_id(content)}"
            )
