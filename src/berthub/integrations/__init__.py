"""An Encoder as the class that another library expects."""
