"""Runs a device's command and kills it, as with the power, around its durable steps.

``python killed.py POINTS LOG COMMAND…``: a durable step is an fsync or a rename; its name is the
chain of the product's functions that lead to it. POINTS is a file with one point on each line,
``before STEP`` or ``after STEP``; SIGKILL comes when a point is reached for the first time, and
the point is then taken out of the file. LOG gets a line for each step; ``-`` for none of both.

With a launcher in ``KILLED_LAUNCHER`` that one starts the command, and the venv that it chooses
watches the steps (``applications.HOOK``).
"""

import os
import signal
import sys
import threading

PRODUCT = f"{os.sep}shopfloor_edge{os.sep}"
LOOPS = ("main", "app")
"""Modules whose frames every chain has; they name no step."""


def step_name(operation):
    """Return the step's name, innermost function first."""
    frame, chain = sys._getframe(2), [operation]
    while frame is not None:
        code = frame.f_code
        module = os.path.splitext(os.path.basename(code.co_filename))[0]  # noqa: PTH119, PTH122
        if PRODUCT in code.co_filename and module not in LOOPS:
            chain.append(f"{module}.{code.co_name}")
        frame = frame.f_back
    return "<".join(part for part in chain if "<" not in part)


def read_points(path):
    if path == "-":
        return []
    with open(path) as file:  # noqa: PTH123 — the product's own calls are watched
        return file.read().splitlines()


def watch(points, log):
    """Look at every step of this process; nothing of the product knows of it."""
    lock = threading.Lock()

    def reach(point):
        with lock:
            left = read_points(points)
            if point not in left:
                return
            left.remove(point)
            with open(points, "w") as file:  # noqa: PTH123
                file.write("".join(f"{one}\n" for one in left))
            os.kill(os.getpid(), signal.SIGKILL)

    def around(operation, step):
        def watched(*arguments, **options):
            name = step_name(operation)
            if log != "-":
                with lock, open(log, "a") as file:  # noqa: PTH123
                    file.write(f"{name}\n")
            reach(f"before {name}")
            result = step(*arguments, **options)
            reach(f"after {name}")
            return result

        return watched

    for operation in ("fsync", "rename", "replace"):
        setattr(os, operation, around(operation, getattr(os, operation)))


def launch(launcher, points, log, *command):
    """Become the launcher."""
    told = {"KILLED_VICTIM": command[0], "KILLED_POINTS": points, "KILLED_LOG": log}
    os.execve(launcher, [launcher, *command], os.environ | told)  # noqa: S606 — the test made it


if __name__ == "__main__":
    if "KILLED_LAUNCHER" in os.environ:
        launch(os.environ["KILLED_LAUNCHER"], *sys.argv[1:])
    from shopfloor_edge.main import main

    watch(sys.argv[1], sys.argv[2])
    sys.exit(main(sys.argv[3:]))
