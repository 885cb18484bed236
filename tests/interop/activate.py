"""Becomes the program given, with open sockets as systemd passes them: descriptors from 3 on, and
`LISTEN_PID`, which only the process itself can know.

    activate.py NAME:… DESCRIPTOR:… PROGRAM ARGUMENT…
"""

import fcntl
import os
import sys

FIRST = 3

names, descriptors, *command = sys.argv[1:]
# Copies beyond all the places first, since one socket may stand where another belongs.
beyond = FIRST + len(names.split(":"))
copies = [fcntl.fcntl(int(one), fcntl.F_DUPFD, beyond) for one in descriptors.split(":")]
for place, copy in enumerate(copies, start=FIRST):
    os.dup2(copy, place, inheritable=True)
os.closerange(beyond, max(copies) + 1)
os.environ.update(LISTEN_FDS=str(len(copies)), LISTEN_FDNAMES=names, LISTEN_PID=str(os.getpid()))
os.execv(command[0], command)
