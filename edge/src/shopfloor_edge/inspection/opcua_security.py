"""OPC-UA with certificates: signed, encrypted, and with nobody who is not named.

Both sides show a certificate and know the other's beforehand; no authority is asked and no
certificate is taken on trust. Certificates are RSA (OPC 10000-7), so not the device's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from shopfloor_contracts.recipes import OpcUaSecurity
from shopfloor_edge.errors import OutputError
from shopfloor_edge.inspection.extras import import_extra

Certificate = Any
"""``cryptography``'s, which comes with asyncua."""


def secure_client(client: Any, security: OpcUaSecurity | None, *, name: str) -> None:
    """Let a client of ``asyncua.sync`` speak only to the server whose certificate is named.

    Args:
        name: of the station; the application's URI where no certificate says it.

    Raises:
        OutputError: a certificate or key cannot be read.
    """
    client.application_uri = f"urn:shopfloor:{name}"
    if security is None:
        return
    crypto = import_extra("asyncua.crypto.uacrypto", extra="opcua")
    policies = import_extra("asyncua.crypto.security_policies", extra="opcua")
    own = _certificate(security.certificate_file)
    client.application_uri = _uri_of(own) or client.application_uri
    try:
        client.tloop.post(
            client.aio_obj.set_security(
                getattr(policies, f"SecurityPolicy{security.policy}"),
                crypto.CertProperties(_der(own), "der"),
                crypto.CertProperties(*_key(security.key_file)),
                # Named, so that the server's own word for who it is is not taken.
                server_certificate=crypto.CertProperties(
                    _der(_certificate(security.trusted[0])), "der"
                ),
            )
        )
        if security.user_certificate_file is not None and security.user_key_file is not None:
            user = _certificate(security.user_certificate_file)
            content, form = _key(security.user_key_file)
            client.load_client_certificate(_der(user), "der")
            client.load_private_key(content, extension=form)
    except (ValueError, TypeError) as e:
        raise OutputError(f"{security.key_file}: not a key of this certificate: {e}") from e


def secure_server(server: Any, security: OpcUaSecurity | None) -> None:
    """Let a server of ``asyncua.sync`` serve only those whose certificates are named.

    Raises:
        OutputError: a certificate or key cannot be read.
    """
    ua = import_extra("asyncua.ua", extra="opcua")
    if security is None:
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        return
    own = _certificate(security.certificate_file)
    uri = _uri_of(own)
    trusted = {_der(_certificate(path)) for path in security.trusted}
    server.set_security_policy(
        [getattr(ua.SecurityPolicyType, f"{security.policy}_SignAndEncrypt")]
    )
    server.set_identity_tokens([ua.AnonymousIdentityToken, ua.X509IdentityToken])
    server.aio_obj.iserver.user_manager = _Named(trusted)
    server.aio_obj.set_certificate_validator(_validator(trusted))
    try:
        if uri:
            server.tloop.post(server.aio_obj.set_application_uri(uri))
        content, form = _key(security.key_file)
        server.load_certificate(_der(own), "der")
        server.load_private_key(content, format=form)
    except (ValueError, TypeError) as e:
        raise OutputError(f"{security.key_file}: not a private key: {e}") from e


class _Named:
    """asyncua's port for users: whose certificate is named may read, nobody else."""

    def __init__(self, trusted: set[bytes]) -> None:
        self._trusted = trusted
        rules = import_extra("asyncua.crypto.permission_rules", extra="opcua")
        self._reader = rules.User(role=rules.UserRole.User)

    def get_user(
        self,
        _server: Any,
        username: str | None = None,
        password: str | None = None,  # noqa: ARG002 — asyncua's own signature
        certificate: bytes | None = None,
    ) -> Any:
        """Return the user, or None, which refuses the session."""
        named = username is None and certificate is not None and bytes(certificate) in self._trusted
        return self._reader if named else None


def _validator(trusted: set[bytes]) -> Any:
    """Return what asyncua calls with a client's certificate before there is a session."""
    checks = import_extra("asyncua.crypto.validator", extra="opcua")
    errors = import_extra("asyncua.common.utils", extra="opcua")
    ua = import_extra("asyncua.ua", extra="opcua")
    in_time = checks.CertificateValidator(checks.CertificateValidatorOptions.TIME_RANGE)

    async def validate(certificate: Certificate, application: Any) -> None:
        if _der(certificate) not in trusted:
            raise errors.ServiceError(ua.StatusCodes.BadCertificateUntrusted)
        await in_time.validate(certificate, application)

    return validate


def _certificate(path: str) -> Certificate:
    x509 = import_extra("cryptography.x509", extra="opcua")
    content = _content(path)
    try:
        if content.startswith(b"-----"):
            return x509.load_pem_x509_certificate(content)
        return x509.load_der_x509_certificate(content)
    except ValueError as e:
        raise OutputError(f"{path}: not a certificate, expected PEM or DER") from e


def _der(certificate: Certificate) -> bytes:
    serialization = import_extra("cryptography.hazmat.primitives.serialization", extra="opcua")
    return bytes(certificate.public_bytes(serialization.Encoding.DER))


def _uri_of(certificate: Certificate) -> str:
    """Return the application's URI that a certificate names; peers compare it."""
    x509 = import_extra("cryptography.x509", extra="opcua")
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ""
    uris = names.value.get_values_for_type(x509.UniformResourceIdentifier)
    return str(uris[0]) if uris else ""


def _key(path: str) -> tuple[bytes, str]:
    """Return a key's content and form; the file's name says nothing about it."""
    content = _content(path)
    return content, "pem" if content.startswith(b"-----") else "der"


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as e:
        raise OutputError(f"{path}: {e.strerror or e}") from e
