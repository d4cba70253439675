"""What is started as the runner: ``python3 main.py``, with the channel as standard input."""

import faulthandler

from flotilla_runner.channel import channel_of_stdin
from flotilla_runner.runner import Runner

if __name__ == "__main__":
    faulthandler.enable()
    Runner(channel_of_stdin()).run()
