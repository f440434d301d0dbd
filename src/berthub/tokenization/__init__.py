"""Text becomes `Tokens`."""
