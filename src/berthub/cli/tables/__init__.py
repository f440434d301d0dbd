"""Files of texts in, files of vectors out, a block of rows at a time."""
