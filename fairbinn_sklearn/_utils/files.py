"""Files that are whole or not there at all."""

import os
from contextlib import suppress
from pathlib import Path


def write_whole(path, data):
    """Write bytes to a file, so that nobody ever finds a part of them there.

    They go to a file beside it, which then takes its place; the file that was there before stays
    until then, also if the process is killed or the disk is full.
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    try:
        with open(part, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise
