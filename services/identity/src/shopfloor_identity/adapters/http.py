"""The whole application: devices' side, people's side, lists, health and metrics."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp

from shopfloor_contracts.base import Operator
from shopfloor_contracts.enrolment import (
    ENROL_PATH,
    NONCE_PATH,
    RENEW_PATH,
    SECRETS_PATH,
    EnrolRequest,
    Issued,
    Nonce,
    RenewRequest,
    Secrets,
    SecretsRequest,
    TokenIssued,
    TokenRequest,
)
from shopfloor_identity.adapters.book import Held
from shopfloor_identity.adapters.lists import ListDesk
from shopfloor_identity.adapters.office import Office
from shopfloor_identity.errors import AuthorityError, RefusedError, StoreUnavailableError
from shopfloor_kit.errors import ProblemError
from shopfloor_kit.limits import BodyLimit
from shopfloor_kit.peers import Peer, PeerGuard, peer_of
from shopfloor_kit.problems import install_problems, problem_response
from shopfloor_kit.rates import RateLimit
from shopfloor_kit.tokens import Caller, Gatekeeper, Role

log = logging.getLogger(__name__)

BODY_BYTES = 64 * 1024
PEM = "application/x-pem-file"
_PROBLEM: dict[str, Any] = {"content": {"application/problem+json": {}}}
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": what, **_PROBLEM}
    for status, what in {
        400: "Request is wrong", 401: "Token is unknown", 403: "Refused", 404: "Unknown",
        409: "Clock or key", 413: "Too large", 422: "Invalid", 429: "Too often", 503: "Later",
    }.items()
}  # fmt: skip


class Revocation(Operator):
    """Why; it goes into the audit log."""

    reason: Annotated[str, Field(min_length=1, max_length=400)]


class Revoked(BaseModel):
    """Serials of what is now revoked."""

    serials: list[str]


class CertificateBody(BaseModel):
    """A certificate that was issued."""

    serial: str
    name: str
    how: str
    issued_at: str
    not_after: str
    revoked_at: str | None
    reason: str | None

    @classmethod
    def of(cls, held: Held) -> CertificateBody:
        """Return it for the wire."""
        return cls(
            serial=held.serial,
            name=held.name,
            how=held.how,
            issued_at=held.issued_at.isoformat(),
            not_after=held.not_after.isoformat(),
            revoked_at=None if held.revoked_at is None else held.revoked_at.isoformat(),
            reason=held.reason,
        )


@dataclass(frozen=True, slots=True)
class Rates:
    """How often one client address, or one device, may ask."""

    enrol: RateLimit
    device: RateLimit

    @classmethod
    def usual(cls) -> Rates:
        """Return limits that a site with 50 devices behind one address stays below."""
        return cls(RateLimit(per_minute=30, burst=60), RateLimit(per_minute=6, burst=12))


def build_api(*routers: APIRouter) -> FastAPI:
    """Assemble the application."""
    app = FastAPI(title="Shopfloor identity", version="0.1.0", docs_url=None, redoc_url=None)
    install_problems(app)
    app.add_exception_handler(RefusedError, _on_refused)
    app.add_exception_handler(StoreUnavailableError, _later)
    app.add_exception_handler(AuthorityError, _later)
    app.add_exception_handler(SQLAlchemyError, _later)
    for router in routers:
        app.include_router(router)
    return app


def guarded(app: FastAPI) -> ASGIApp:
    """Put the limits around the application that come before it."""
    return PeerGuard(BodyLimit(app, limit_bytes=BODY_BYTES, free=lambda _path: False))


def devices_router(office: Office, lists: ListDesk, root: bytes, rates: Rates) -> APIRouter:
    """Build what devices ask for, and what everybody may read."""
    router = APIRouter(tags=["devices"], responses=_PROBLEMS)

    @router.post(ENROL_PATH, status_code=201)
    def enrol(request: Request, asked: EnrolRequest) -> Issued:
        """Give a device its first certificate, for a one-time token."""
        client = request.client.host if request.client else "unknown"
        rates.enrol.demand(client)
        return office.enrol(asked, client)

    @router.post(RENEW_PATH, status_code=201)
    def renew(request: Request, asked: RenewRequest) -> Issued:
        """Give a device its next certificate; it comes with the present one."""
        return office.renew(asked, _device(request, rates))

    @router.post(NONCE_PATH, status_code=201)
    def nonce(request: Request) -> Nonce:
        """Give a device a nonce for a quote of its TPM."""
        return office.nonce(_device(request, rates))

    @router.post(SECRETS_PATH)
    def secrets(request: Request, asked: SecretsRequest) -> Secrets:
        """Hand the site's secrets out, sealed to the device's key."""
        return office.secrets(asked, _device(request, rates))

    @router.get("/ca.crt", response_class=Response)
    def authority() -> Response:
        """Give the root's certificate."""
        return Response(root, media_type=PEM)

    @router.get("/ca.crl", response_class=Response)
    def revoked() -> Response:
        """Give the lists of revoked certificates, of root and intermediate."""
        return Response(lists.current, media_type=PEM)

    return router


def people_router(office: Office, keeper: Gatekeeper) -> APIRouter:
    """Build what operators ask for, with a bearer token."""
    router = APIRouter(prefix="/api/v1", tags=["people"], responses=_PROBLEMS)
    operator = Depends(keeper.needs(Role.OPERATOR))

    @router.post("/tokens", status_code=201)
    def invite(wanted: TokenRequest, caller: Caller = operator) -> TokenIssued:
        """Make a one-time token for one device."""
        return office.invite(wanted, caller.name)

    @router.get("/certificates", dependencies=[Depends(keeper.needs(Role.VIEWER))])
    def certificates(
        name: Annotated[str | None, Query(max_length=127)] = None,
    ) -> list[CertificateBody]:
        """List what was issued, the newest 1,000."""
        return [CertificateBody.of(held) for held in office.certificates(name)]

    @router.post("/certificates/{serial}/revoke")
    def revoke(
        serial: Annotated[str, PathParameter(pattern="^[0-9a-f]{1,40}$")],
        why: Revocation,
        caller: Caller = operator,
    ) -> Revoked:
        """Revoke one certificate."""
        return Revoked(serials=office.revoke(serial, _line(why.reason), caller.name))

    @router.post("/devices/{site}/{device}/revoke")
    def revoke_device(
        site: Annotated[str, PathParameter(pattern="^[a-z0-9-]{1,63}$")],
        device: Annotated[str, PathParameter(pattern="^[a-z0-9-]{1,63}$")],
        why: Revocation,
        caller: Caller = operator,
    ) -> Revoked:
        """Revoke every certificate of a device."""
        serials = office.revoke(f"{site}/{device}", _line(why.reason), caller.name)
        return Revoked(serials=serials)

    return router


def _device(request: Request, rates: Rates) -> Peer:
    peer = peer_of(request.scope)
    if peer is None:
        raise ProblemError(401, "no-certificate", "expected the device's certificate in TLS")
    rates.device.demand(peer.name)
    return peer


def _line(text: str) -> str:
    if not text.isprintable():
        raise ProblemError(422, "invalid-request", "reason is no printable line")
    return text


def _on_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)  # noqa: S101 — registered for this type only
    client = request.client.host if request.client else "unknown"
    fields = {"reason": error.slug, "said": str(error), "client": client}
    log.warning("request refused", extra=fields)
    return problem_response(error.status, error.slug, str(error))


def _later(_: Request, error: Exception) -> Response:
    log.error("request cannot be answered now", extra={"reason": str(error)})
    return problem_response(503, "unavailable", "try again later")
