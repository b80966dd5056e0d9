"""Handshakes with TLS: how many are under way, and which have failed."""

from __future__ import annotations

import gc
import logging
import ssl

import pytest
from tls_use import Files, client_context, make_files, shake_hands

pytestmark = pytest.mark.system

VERIFY = "  client_ca_file: ca.pem\n  client_auth_type: RequireAndVerifyClientCert\n"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return make_files(tmp_path_factory.mktemp("tls"))


def test_failures_are_logged_but_not_without_end(
    files: Files, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 1e9)
    caplog.set_level(logging.INFO)
    context, client = files.context(VERIFY), client_context(files.ca)
    for _ in range(20):
        with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN"):
            shake_hands(context, client)
    told = [record.getMessage() for record in caplog.records]
    reason = "a TLS handshake failed: peer did not return a certificate"
    assert told == [reason] * 5


def test_who_is_about_to_connect_is_known_until_it_has_or_gave_up(
    files: Files,
) -> None:
    context = files.context(VERIFY)
    begun = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
    assert len(context.shaking) == 1
    shake_hands(context, client_context(files.ca, files.client))
    with pytest.raises(ssl.SSLError):
        shake_hands(context, client_context(files.ca))
    assert len(context.shaking) == 1
    del begun
    assert len(context.shaking) == 0


def test_one_that_failed_counts_until_its_client_goes(files: Files) -> None:
    context = files.context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    made = context.wrap_bio(incoming, outgoing, server_side=True)
    assert context.are_shaking
    incoming.write(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(ssl.SSLWantReadError):
        made.do_handshake()
    assert outgoing.read().startswith(b"HTTP/1.0 400 ")
    # The client may read that, and stay.
    assert len(context.shaking) == 1
    assert not context.are_shaking
    incoming.write(b"more")
    with pytest.raises(ssl.SSLError, match="HTTP_REQUEST"):
        made.do_handshake()
    assert len(context.shaking) == 0


def test_one_that_failed_is_freed_with_its_client(files: Files) -> None:
    context = files.context()
    incoming = ssl.MemoryBIO()
    made = context.wrap_bio(incoming, ssl.MemoryBIO(), server_side=True)
    incoming.write(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(ssl.SSLWantReadError):
        made.do_handshake()
    gc.disable()
    try:
        del made
        assert len(context.shaking) == 0
    finally:
        gc.enable()


def test_one_too_many_is_not_begun(files: Files) -> None:
    context = files.context()
    context.admits = lambda: len(context.shaking) < 2
    begun = [
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
        for _ in range(2)
    ]
    with pytest.raises(ssl.SSLError, match="as many connections as there may be"):
        shake_hands(context, client_context(files.ca))
    begun.pop()
    shake_hands(context, client_context(files.ca))
