"""What a person reads when a device does not answer, or does not let us in."""

import socket
import threading

import paramiko
import pytest

from shopfloor_provisioning import fleet
from shopfloor_provisioning.job import Action, Job, Places

STORE = """
site = "store-7"
[[devices]]
name = "counter-1"
address = "{address}"
port = {port}
password_secret = "SSH"
{more}
[[devices.cameras]]
name = "entrance"
uri = "rtsp://192.0.2.20/s"
"""


class Door(paramiko.ServerInterface):
    """An SSH server that lets nobody in."""

    def check_auth_password(self, username, password):
        return paramiko.AUTH_FAILED

    def get_allowed_auths(self, username):
        return "password"


@pytest.fixture
def door():
    """Serve two connections, so that a client that tries again is refused again."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        transports = []

        def serve():
            try:
                for _ in range(2):
                    transport = paramiko.Transport(listener.accept()[0])
                    transport.add_server_key(paramiko.ECDSAKey.generate())
                    transport.start_server(server=Door(), event=threading.Event())
                    transports.append(transport)
            except OSError:
                return

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for transport in transports:
            transport.close()
            transport.join()


def error_of(folder, address, port, more=""):
    store = folder / "store-7.toml"
    store.write_text(STORE.format(address=address, port=port, more=more))
    job = Job(
        action=Action.CHECK,
        store=store,
        device="counter-1",
        var=folder / "var",
        places=Places(broker_host="192.0.2.1", broker_port=8883),
        secrets={"SSH": "wrong-password"},
    )
    return fleet.work([job], lambda device, progress: None)["counter-1"].error


def test_a_host_that_does_not_answer(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    error = error_of(tmp_path, "127.0.0.1", port)

    assert error.startswith(f"counter-1: root@127.0.0.1:{port} does not answer")
    assert "is it on, and is sshd running?" in error


def test_a_wrong_password(tmp_path, door):
    error = error_of(tmp_path, "127.0.0.1", door)

    assert error == (
        f"counter-1: root@127.0.0.1:{door} does not let us in: "
        f"look at user, key_file or password_secret"
    )


def test_another_host_key_than_expected(tmp_path, door):
    key = f"ecdsa-sha2-nistp256 {paramiko.ECDSAKey.generate().get_base64()}"

    error = error_of(tmp_path, "127.0.0.1", door, more=f'host_key = "{key}"')

    assert "has another host key than expected" in error
