"""Texts become encodings."""
