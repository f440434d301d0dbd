"""Files that hold arrays and messages, by strangers: read strictly, mapped rather than copied, and written."""
