"""Make an encoder's input dict of strings, as TF Hub's preprocessing models do; also inside `tf.data`."""
