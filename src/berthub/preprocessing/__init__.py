"""Strings become the input dict of an encoder, as by TF Hub's preprocessing models; also inside `tf.data`."""
