"""The entry point of the `berthub` command, which handles signals from the first moment."""

import os
import signal
import sys
from typing import NoReturn

__all__ = ["start"]

# The statuses that shells give for these signals; `exit_codes` has them, and is not imported yet.
_STATUSES = {signal.SIGINT: 130, signal.SIGTERM: 143}


def start() -> NoReturn:
    """Run the command of the process's own arguments, and end the process with its exit status."""
    # While libraries are imported an exception could come up anywhere, and be taken for an error of theirs. There is
    # nothing to clean up: end at once.
    for number in _STATUSES:
        signal.signal(number, _end)
    from berthub.cli.main import main

    status = main()
    # The work is done and reported: a signal could only break the interpreter's own end.
    for number in _STATUSES:
        signal.signal(number, _end)
    sys.exit(status)


def _end(number: int, frame: object) -> NoReturn:
    os._exit(_STATUSES[signal.Signals(number)])


if __name__ == "__main__":
    start()
