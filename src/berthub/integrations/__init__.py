"""An Encoder as the class, the component or the function that another library expects."""
