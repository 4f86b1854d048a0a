"""A process that answers one question and ends: a frame on its standard input, a frame on its standard output.

It is run with the device on which it answers.
"""

import os
import sys
import tempfile
from pathlib import Path


def main(device: str) -> None:
    """Answer, if there is the device. What the answer prints goes nowhere: standard output is the line to the judge."""
    from minidalle.grading import wire
    from minidalle.grading.inside.device import in_a_line, start
    from minidalle.grading.inside.respond import respond
    from minidalle.grading.inside.warm import framed

    line = os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(2, 1)
    try:
        start(device)
    except Exception as error:
        os.write(line, wire.encode({"why": in_a_line(error)}))
        return
    os.write(line, wire.encode({"why": ""}))
    request = wire.read(0)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    folder = Path(tempfile.mkdtemp(prefix="submission-"))
    os.chdir(folder)
    os.write(line, framed(request, folder, wire.encode, respond))


if __name__ == "__main__":
    main(sys.argv[1])
