"""Put a file into an outbox under a new name: `post.py FILE OUTBOX NAME`. Ends with 75 while another one posts."""

import fcntl
import os
import sys
from pathlib import Path

file, outbox, name = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]

with (outbox / ".lock").open("w") as lock:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # given back when this process ends, however it ends
    except BlockingIOError:
        print("the outbox is busy", file=sys.stderr)
        sys.exit(os.EX_TEMPFAIL)
    try:
        with (outbox / name).open("x", encoding="utf-8") as posted:
            posted.write(file.read_text("utf-8"))
    except FileExistsError:
        sys.exit(f"{name} was posted before")
print(f"posted {name}")
