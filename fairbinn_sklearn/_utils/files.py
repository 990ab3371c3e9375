"""Files that are written completely or not at all."""

import os
from contextlib import suppress
from pathlib import Path


def write_whole(path, data):
    """Write bytes to a file completely or not at all.

    The bytes are written to a temporary file in the same folder, which then replaces the file. If
    the process is killed or the disk is full, an existing file is kept.
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
