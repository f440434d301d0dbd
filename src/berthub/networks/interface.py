"""The names of the inputs and outputs of TF Hub's encoders."""

__all__ = ["INPUTS", "MLM_LOGITS", "POSITIONS"]

INPUTS = ("input_word_ids", "input_mask", "input_type_ids")
"""The ids, the mask and the token types: int32 [batch, seq] each."""

POSITIONS = "masked_lm_positions"
"""The input that asks for `MLM_LOGITS`: int32 [batch, positions]."""

MLM_LOGITS = "mlm_logits"
"""The output of the masked-language-model head at these positions: float32 [batch, positions, vocabulary]."""
