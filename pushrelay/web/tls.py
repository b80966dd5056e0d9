"""Connections with TLS: what makes them, and whose certificates are taken."""

from __future__ import annotations

import ipaddress
import logging
import os
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

from pushrelay.quoting import quote
from pushrelay.web.tls_settings import TLSSettings
from pushrelay.web.yaml_tables import WrongValue

log = logging.getLogger(__name__)

_PROTOCOLS = ["http/1.1"]
_TOLD_EACH_SECOND = 5

_NO_TLS_TEXT = b"Client sent an HTTP request to an HTTPS server.\n"
_NO_TLS = (
    b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%s"
    % (len(_NO_TLS_TEXT), _NO_TLS_TEXT)
)
"""What Go's server answers to who speaks HTTP to it."""


def make_context(settings: TLSSettings) -> ssl.SSLContext:
    """Return what makes connections as `settings` say. Raises WrongValue."""
    context = _Context(settings.allowed_names)
    context.minimum_version = settings.minimum
    context.maximum_version = settings.maximum
    context.options |= ssl.OP_NO_RENEGOTIATION
    if not settings.prefers_own_order:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(_PROTOCOLS)
    if settings.ciphers:
        context.set_ciphers(":".join(settings.ciphers))
    if settings.curve:
        context.set_ecdh_curve(settings.curve)
    _load_certificate(context, settings)
    context.verify_mode = settings.verify
    if settings.verify is not ssl.CERT_NONE:
        _load_client_ca(context, settings)
    return context


def _load_certificate(context: ssl.SSLContext, settings: TLSSettings) -> None:
    with _file(settings.certificate) as certificate, _file(settings.key) as key:
        try:
            # Without a password, it would ask for one on the terminal.
            context.load_cert_chain(certificate, key, password="")
        except ssl.SSLError as error:
            raise WrongValue(
                "the certificate and its key cannot be used: " + _reason(error)
            ) from error


def _load_client_ca(context: ssl.SSLContext, settings: TLSSettings) -> None:
    # As in Go, what is listed is trusted, whether or not another CA has signed it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if settings.client_ca is None:
        context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
        return
    with _file(settings.client_ca) as path:
        try:
            context.load_verify_locations(path)
        except ssl.SSLError as error:
            raise WrongValue(
                "the CA of the clients cannot be used: " + _reason(error)
            ) from error


@contextmanager
def _file(content: bytes) -> Iterator[str]:
    """Give a path of `content`, which is in memory only: Python's ssl reads files."""
    descriptor = os.memfd_create("pem")
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _reason(error: ssl.SSLError) -> str:
    # Those of OpenSSL only have one.
    reason = getattr(error, "reason", None)
    if reason == "KEY_VALUES_MISMATCH":
        return "they do not belong together"
    return reason.replace("_", " ").lower() if reason else str(error.strerror)


class LiveContext(ssl.SSLContext):
    """Makes each connection with the context that is the `current` one then."""

    current: ssl.SSLContext
    shaking: WeakSet[_Connection]
    """Connections that are being made, or could not be made and are still open."""
    admits: Callable[[], bool]
    """Whether another one may be begun."""

    def __new__(cls, current: ssl.SSLContext) -> LiveContext:
        context = super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)
        context.current = current
        context.shaking = WeakSet()
        context.admits = lambda: True
        return context

    @property
    def are_shaking(self) -> bool:
        """Whether any connection may still be made."""
        return not all(each.failure for each in self.shaking)

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Return what begins a connection; servers of asyncio call this.

        Raises SSLError for one too many.
        """
        if not self.admits():
            raise ssl.SSLError(1, "there are as many connections as there may be")
        made = self.current.wrap_bio(
            incoming, outgoing, server_side, server_hostname, session
        )
        if isinstance(made, _Connection):
            made.outgoing, made.shaking = outgoing, self.shaking
            self.shaking.add(made)
        return made


class _Context(ssl.SSLContext):
    """allowed_names: as in TLSSettings."""

    allowed_names: frozenset[str] | None

    def __new__(cls, allowed_names: frozenset[str] | None) -> _Context:
        context = super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)
        context.allowed_names = allowed_names
        context.sslobject_class = _Connection
        return context


class _Connection(ssl.SSLObject):
    """A connection that is not made with a certificate without an allowed name."""

    outgoing: ssl.MemoryBIO
    shaking: WeakSet[_Connection]
    failure = ""

    def do_handshake(self) -> None:
        """Go on with making it. Raises SSLError where that has failed."""
        if self.failure:
            self.shaking.discard(self)
            # The first error would hold this connection, and be held by it.
            raise ssl.SSLError(1, self.failure)
        try:
            super().do_handshake()
            self._require_allowed_name()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self._fail(error)
        self.shaking.discard(self)

    def _fail(self, error: ssl.SSLError) -> None:
        """Tell the client why, and the log. Raises `error`, or what has the server send
        what there is to tell first. Until the client goes then, or its time is over, it
        still takes an open file."""
        self.failure = str(error)
        _failures.note(error)
        if getattr(error, "reason", None) == "HTTP_REQUEST":
            self.outgoing.write(_NO_TLS)
        if not self.outgoing.pending:
            self.shaking.discard(self)
            raise error
        raise ssl.SSLWantReadError from error

    def _require_allowed_name(self) -> None:
        allowed = _allowed_names(self.context)
        if allowed is None:
            return
        names = names_of(self.getpeercert() or {})
        if not allowed & names:
            raise ssl.SSLCertVerificationError(
                1,
                "no name of the certificate is in client_allowed_sans; it has "
                f"{', '.join(sorted(map(quote, names))) or 'none'}",
            )


def opened_by(was: ssl.SSLContext, now: ssl.SSLContext) -> str:
    """Return what lets in, with `now`, who has no certificate that `was` asked for;
    empty if nothing does."""
    required = ssl.CERT_REQUIRED
    if was.verify_mode is required and now.verify_mode is not required:
        return "client_auth_type requires no certificate any more"
    if _allowed_names(was) is not None and _allowed_names(now) is None:
        return "client_allowed_sans is gone"
    return ""


def _allowed_names(context: ssl.SSLContext) -> frozenset[str] | None:
    return context.allowed_names if isinstance(context, _Context) else None


def names_of(certificate: dict[str, Any]) -> set[str]:
    """Return the alternative names (DNS, IP, e-mail and URI) in what `getpeercert`
    returns."""
    return {
        _address(value) if kind == "IP Address" else value
        for kind, value in certificate.get("subjectAltName", ())
        if kind in ("DNS", "IP Address", "email", "URI")
    }


def _address(written: str) -> str:
    try:
        return str(ipaddress.ip_address(written.strip()))
    except ValueError:
        return written


class _Failures:
    """Logs why connections were not made, some each second at most: anybody can cause
    them."""

    def __init__(self) -> None:
        self._second = 0
        self._count = 0

    def note(self, error: ssl.SSLError) -> None:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._count = second, 0
        self._count += 1
        if self._count <= _TOLD_EACH_SECOND:
            told = getattr(error, "verify_message", "") or _reason(error)
            log.info("a TLS handshake failed: %s", told)


_failures = _Failures()
