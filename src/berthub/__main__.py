"""`python -m berthub`: the `berthub` command, for where the program itself is not on the path."""

from berthub.cli.start import start

if __name__ == "__main__":
    start()
