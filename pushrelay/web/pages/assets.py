"""What pages consist of beside their text: styles, scripts, the icon."""

from __future__ import annotations

from pathlib import Path

from flask import Response, send_from_directory
from werkzeug.exceptions import NotFound

from pushrelay.web.pages.layout import pages

_STATIC = Path(__file__).parents[1] / "static"


@pages.route("/static/", defaults={"name": ""}, provide_automatic_options=False)
@pages.route("/static/<path:name>", provide_automatic_options=False)
def asset(name: str) -> Response:
    """Send an asset."""
    try:
        return send_from_directory(_STATIC, name)
    except NotFound:
        return Response("404 page not found\n", 404, mimetype="text/plain")
