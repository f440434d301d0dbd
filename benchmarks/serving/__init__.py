"""The server under load, beside the library in one process and beside other servers."""
