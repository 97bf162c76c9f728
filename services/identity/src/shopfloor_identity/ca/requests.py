"""Certificate requests (PKCS #10) from outside: what is wrong with one, before it is signed."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec

from shopfloor_contracts.enrolment import CSR_MAX_CHARS
from shopfloor_identity.ca.certificates import common_name
from shopfloor_identity.errors import RefusedError

_CURVES = (ec.SECP256R1, ec.SECP384R1)


def read_request(pem: str, name: str) -> ec.EllipticCurvePublicKey:
    """Return the key that ``pem`` asks a certificate for.

    Raises:
        RefusedError: no request, not signed by its own key, a weak key, or another name.
    """
    if len(pem) > CSR_MAX_CHARS:
        detail = f"csr has {len(pem)} characters, at most {CSR_MAX_CHARS}"
        raise RefusedError("csr-too-large", detail, status=413, subject=name)
    try:
        request = x509.load_pem_x509_csr(pem.encode())
        public = request.public_key()
        signed = request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature) as e:
        detail = "csr is no certificate request in PEM"
        raise RefusedError("csr-invalid", detail, status=400, subject=name) from e
    if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, _CURVES):
        detail = f"csr has a key of {_kind(public)}, expected ECDSA on P-256 or P-384"
        raise RefusedError("csr-weak-key", detail, status=400, subject=name)
    if not signed:
        raise RefusedError(
            "csr-invalid", "csr is not signed by its own key", status=400, subject=name
        )
    asked = common_name(request)
    if asked != name:
        detail = f"csr asks for {str(asked)[:80]!r}, the token or certificate is of {name!r}"
        raise RefusedError("csr-other-name", detail, subject=name)
    return public


def _kind(public: object) -> str:
    if isinstance(public, ec.EllipticCurvePublicKey):
        return f"curve {public.curve.name}"
    bits = getattr(public, "key_size", None)
    kind = type(public).__name__.lstrip("_").removesuffix("PublicKey")
    return f"{kind}, {bits} bits" if bits else kind
