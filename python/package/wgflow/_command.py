"""The console command `wgflow`: the program itself, in Python's process."""

import signal
import sys

from ._wgflow import command


def main():
    # The program has its own answer to Ctrl-C; Python's would come on top of it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(command(sys.argv))
