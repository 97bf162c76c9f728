"""Is somebody listening where a network camera should be?

A refused or silent host costs one packet here and a whole pipeline in GStreamer, so a camera that
stays away may be asked often; and the system's words are clearer than a pipeline's.
"""

from __future__ import annotations

import socket

from shopfloor_edge.errors import SourceLostError

CONNECT_TIMEOUT_S = 2.0
"""A camera in the building answers within milliseconds; one lost packet costs a second."""


def check_reachable(host: str, port: int, *, timeout_s: float = CONNECT_TIMEOUT_S) -> None:
    """Connect and close again.

    Raises:
        SourceLostError: nobody answers; says whether name, host or port is the trouble.
    """
    try:
        with socket.create_connection((host, port), timeout=timeout_s):
            return
    except socket.gaierror as e:
        raise SourceLostError(f"{host}: the name is not known here ({e.strerror})") from e
    except ConnectionRefusedError as e:
        raise SourceLostError(
            f"{host}: port {port} refuses; the host is up, the camera's server is not"
        ) from e
    except TimeoutError as e:
        raise SourceLostError(f"{host}: no answer on port {port} within {timeout_s:g} s") from e
    except OSError as e:
        raise SourceLostError(f"{host}: unreachable on port {port} ({e.strerror or e})") from e
