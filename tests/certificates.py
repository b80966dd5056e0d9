"""Certificates for the tests, made by openssl."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

OPENSSL = shutil.which("openssl")
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Certificate:
    """A certificate with its key, in PEM files."""

    certificate: Path
    key: Path

    @property
    def pem(self) -> str:
        return self.certificate.read_text()

    @property
    def pair(self) -> tuple[Path, Path]:
        return self.certificate, self.key


def make_ca(directory: Path, name: str = "ca") -> Certificate:
    """Make a CA."""
    return _make(directory, name, ("-addext", "keyUsage=critical,keyCertSign"))


def make_certificate(
    ca: Certificate, name: str, *names: str, client: bool = False
) -> Certificate:
    """Make a certificate of `ca`, beside it; names: such as DNS:localhost."""
    usage = "clientAuth" if client else "serverAuth"
    options = ["-CA", str(ca.certificate), "-CAkey", str(ca.key)]
    options += ["-addext", "basicConstraints=critical,CA:FALSE"]
    options += ["-addext", f"extendedKeyUsage={usage}"]
    if names:
        options += ["-addext", f"subjectAltName={','.join(names)}"]
    return _make(ca.certificate.parent, name, options)


def _make(
    directory: Path, name: str, options: tuple[str, ...] | list[str]
) -> Certificate:
    if OPENSSL is None:
        pytest.skip("there is no openssl")
    made = Certificate(directory / f"{name}.pem", directory / f"{name}.key")
    command = [OPENSSL, "req", "-x509", *_KEY, "-days", "2", "-subj", f"/CN={name}"]
    command += ["-out", str(made.certificate), "-keyout", str(made.key)]
    done = subprocess.run([*command, *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return made
