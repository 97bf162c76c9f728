"""One module per page; each has ``router(desk)``."""
