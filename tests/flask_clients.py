"""Asks Flask alone, as the gateway would."""

from __future__ import annotations

from flask.testing import FlaskClient

from pushrelay.config import Settings
from pushrelay.relay import Relay
from pushrelay.rights import ANYBODY, Identity
from pushrelay.web.app import create_app
from pushrelay.web.flask_bridge import IDENTITY


def flask_client(
    settings: Settings, relay: Relay, identity: Identity = ANYBODY
) -> FlaskClient:
    """Return who asks the application of `relay` as `identity`."""
    client = create_app(settings, relay).test_client()
    client.environ_base[IDENTITY] = identity
    return client
