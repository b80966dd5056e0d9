"""Flask behind the gateway: the pages and the query API."""

from __future__ import annotations

from flask import Flask

from pushrelay.config import Settings
from pushrelay.relay import Relay
from pushrelay.web import query_api
from pushrelay.web.pages import pages


def create_app(settings: Settings, relay: Relay) -> Flask:
    """Return the Flask application of `relay`; its routes lack the route prefix."""
    app = Flask(__name__, static_folder=None)
    app.extensions["pushrelay"] = relay
    app.extensions["pushrelay_settings"] = settings
    app.register_blueprint(query_api.blueprint)
    app.register_blueprint(pages)
    return app
