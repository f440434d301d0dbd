"""Options and methods of transformers' tokenizers that are not here, with what to do instead."""

from collections.abc import Iterable, Mapping

from berthub.errors import InputError

__all__ = ["ABSENT_NAMES", "ABSENT_OPTIONS", "refuse_name", "refuse_options"]

_TARGETS = "encodings have no targets: tokenize them in a call of their own"
_DECIDED = "the tokenizer's tokenization decides it: 'transformers' finds special tokens in texts, the others do not"
_NO_CHAT = "encoders have no chats"
_ROLES = "a vocabulary of BERT's kind has [CLS] and [SEP]: read cls_token and sep_token"

ABSENT_OPTIONS: Mapping[str, str] = {
    "text_target": _TARGETS,
    "text_pair_target": _TARGETS,
    "max_target_length": _TARGETS,
    "split_special_tokens": _DECIDED,
    "tokenizer_kwargs": "pass the options themselves",
    "verbose": "leave it out: what is worth a word is a Python warning (TruncationWarning), which filters can silence",
    "return_num_truncated_tokens": "return_overflowing_tokens=True gives the tokens themselves",
    "return_input_lengths": "its name is return_length",
    "add_prefix_space": "it is part of the model's vocabulary",
    "prepend_batch_axis": "return_tensors gives every array its batch axis",
    "use_source_tokenizer": "encodings have no targets",
    "is_pretokenized": "its name is is_split_into_words",
    "return_lengths": "its name is return_length",
    "clean_up_tokenization_spaces": "it is an option of decode",
}
"""Options of the call, and what to do instead."""

ABSENT_NAMES: Mapping[str, str] = {
    "add_special_tokens": (
        "a tokenizer stays as it is: tokenizer.add_tokens(tokens, special=True) returns one with more tokens, and "
        "encoder.add_tokens one for a model, whose embedding table grows with them"
    ),
    "apply_chat_template": _NO_CHAT,
    "chat_template": _NO_CHAT,
    "get_chat_template": _NO_CHAT,
    "as_target_tokenizer": _TARGETS,
    "backend_tokenizer": "tokenizer.vocabulary holds the pieces, and save_pretrained writes files for other libraries",
    "basic_tokenizer": "tokenize does both of its steps",
    "wordpiece_tokenizer": "tokenize does both of its steps",
    "bos_token": _ROLES,
    "bos_token_id": _ROLES,
    "eos_token": _ROLES,
    "eos_token_id": _ROLES,
    "build_tokenizer": "hub.Tokenizer.from_pretrained(handle) is made ready",
    "do_lower_case": "its name is lower_case",
    "from_file": "hub.Tokenizer(path of a vocab.txt) reads one",
    "max_len": "its name is model_max_length",
    "prepare_for_model": (
        "build_inputs_with_special_tokens and create_token_type_ids_from_sequences put special tokens around ids, and "
        "pad fills them up"
    ),
    "prepare_for_tokenization": "tokenize does it",
    "prepare_seq2seq_batch": _TARGETS,
    "push_to_hub": "save_pretrained writes a folder, which the hub's own client sends",
    "sanitize_special_tokens": "special tokens are part of the vocabulary, always",
    "set_truncation_and_padding": "truncation and padding are options of the call",
    "train_new_from_iterator": "the tokenizers library trains vocabularies; hub.Tokenizer(path) takes the vocab.txt",
    "truncate_sequences": "the call truncates: truncation=True, max_length=...",
    "special_tokens_map_extended": "special_tokens_map has the tokens, and vocabulary.added how they are looked for",
    "additional_special_tokens": "all_special_tokens has them, and vocabulary.added all added tokens",
    "additional_special_tokens_ids": "all_special_ids has them",
    "extra_special_tokens": "all_special_tokens has them, and vocabulary.added all added tokens",
    "name_or_path": "a tokenizer does not keep where it came from",
    "init_kwargs": "the settings are attributes: lower_case, tokenization, max_length",
    "vocab_file": "save_pretrained(folder) writes the vocabulary",
    "ids_to_tokens": "tokenizer.vocabulary.pieces is the list of pieces by id",
}
"""Methods and attributes, and what to do instead."""


def refuse_options(names: Iterable[str], known: Iterable[str]) -> None:
    """`InputError` for options that are not there: what to do instead where transformers has them, else which exist."""
    for name in names:
        if name in ABSENT_OPTIONS:
            raise InputError(
                f"{name} is an option of transformers' tokenizers that berthub's do not have: {ABSENT_OPTIONS[name]}"
            )
        raise InputError(f"a tokenizer has no option {name}; there are {', '.join(known)}")


def refuse_name(name: str) -> None:
    """`AttributeError` for a method or attribute that is not there, with what to do where transformers has it."""
    if name in ABSENT_NAMES:
        raise AttributeError(
            f"{name} is a name of transformers' tokenizers that berthub's do not have: {ABSENT_NAMES[name]}"
        )
    raise AttributeError(f"a Tokenizer has no attribute {name!r}")
