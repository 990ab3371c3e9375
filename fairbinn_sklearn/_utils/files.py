"""Files that are written completely or not at all."""

import os
from contextlib import suppress
from pathlib import Path


def write_whole(path, data):
    """Write bytes to a file, so that it never holds a part of them.

    The bytes go to a temporary file next to it, which then replaces it. An existing file is kept
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
