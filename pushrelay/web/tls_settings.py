"""The part `tls_server_config` of the web configuration file.

Names are Go's, as in the Pushgateway's file. What Python cannot do is left out with a
note where the connection is no less safe for it, and a problem elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from ssl import TLSVersion, VerifyMode

from pushrelay.quoting import quote
from pushrelay.web.watched_files import UnreadableFile, WatchedFiles
from pushrelay.web.yaml_tables import (
    YamlTable,
    flag_of,
    listed,
    one_of,
    text_of,
    texts_of,
)

_CERTIFICATE = re.compile(rb"-----BEGIN (X509 |TRUSTED )?CERTIFICATE-----")
_KEY = re.compile(rb"-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY-----")
_ENCRYPTED = re.compile(rb"BEGIN ENCRYPTED PRIVATE KEY|Proc-Type: *4,ENCRYPTED")

KEYS = (
    *("cert", "key", "client_ca", "cert_file", "key_file", "client_ca_file"),
    *("client_auth_type", "client_allowed_sans", "min_version", "max_version"),
    *("cipher_suites", "prefer_server_cipher_suites", "curve_preferences"),
)
_NO_CERTIFICATE = "NoClientCert"
_VERIFY = "RequireAndVerifyClientCert"
_AUTH_TYPES = {
    _NO_CERTIFICATE: VerifyMode.CERT_NONE,
    # Who is let in is the same, whether or not they are asked.
    "RequestClientCert": VerifyMode.CERT_NONE,
    "VerifyClientCertIfGiven": VerifyMode.CERT_OPTIONAL,
    _VERIFY: VerifyMode.CERT_REQUIRED,
}
_UNVERIFIED = ("RequireAnyClientCert", "RequireClientCert")

_OLD = ("TLS10", "TLS11")
_VERSIONS = {
    **dict.fromkeys(_OLD, TLSVersion.TLSv1_2),
    "TLS12": TLSVersion.TLSv1_2,
    "TLS13": TLSVersion.TLSv1_3,
}

_CIPHERS_OF_TLS13 = (
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
)
_CIPHERS = {
    **dict.fromkeys(_CIPHERS_OF_TLS13, ""),
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
}
"""Those that Go takes for safe, or did when the Pushgateway of Debian was built, by
what OpenSSL calls them; it does not choose among those of TLS 1.3, no more than Go."""

_CURVES = {
    "CurveP256": "prime256v1",
    "CurveP384": "secp384r1",
    "CurveP521": "secp521r1",
    "X25519": "X25519",
}


@dataclass(frozen=True, slots=True)
class TLSSettings:
    """How connections are made.

    certificate, key, client_ca: PEM; without client_ca, the CAs of the system.
    allowed_names: of which a client's certificate must have one; None for any.
    ciphers: for TLS 1.2, as OpenSSL calls them; empty for its own choice.
    curve: the only one, as OpenSSL calls it; empty for its own choice.
    """

    certificate: bytes
    key: bytes = field(repr=False)
    client_ca: bytes | None
    verify: VerifyMode
    allowed_names: frozenset[str] | None
    minimum: TLSVersion
    maximum: TLSVersion
    ciphers: tuple[str, ...]
    curve: str
    prefers_own_order: bool


class TLSReader:
    """Reads the part in `table`.

    directory: what paths in it are relative to. files: read those that it names.
    notes: where it is not followed, added to.
    """

    def __init__(
        self, table: YamlTable, directory: Path, files: WatchedFiles, notes: list[str]
    ) -> None:
        self._table = table
        self._directory = directory
        self._files = files
        self._notes = notes

    def read(self) -> TLSSettings | None:
        """Return the settings; None where there are none, or where there are problems
        with them."""
        table = self._table
        if table.is_empty:
            return None
        before = table.problem_count
        table.refuse_all_but(KEYS)
        certificate = self._required("cert", _CERTIFICATE, "certificate")
        key = self._key()
        verify = self._verify()
        client_ca = self._client_ca(verify)
        allowed = self._allowed_names(verify)
        minimum, maximum = self._versions()
        ciphers, has_only_new = self._ciphers()
        if has_only_new:
            # Nothing was left for older versions.
            minimum = TLSVersion.TLSv1_3
        if minimum > maximum:
            table.refuse("max_version", "leaves no version of TLS and its ciphers")
        curve, own_order = self._curve(), self._prefers_own_order()
        if certificate is None or key is None or verify is None:
            return None
        if table.problem_count > before:
            return None
        return TLSSettings(
            certificate,
            key,
            client_ca,
            verify,
            allowed,
            minimum,
            maximum,
            ciphers,
            curve,
            own_order,
        )

    def _key(self) -> bytes | None:
        key = self._required("key", _KEY, "private key")
        if key is None or not _ENCRYPTED.search(key):
            return key
        name = "key_file" if self._given("key_file") else "key"
        self._table.refuse(name, "is encrypted, and nobody is there to decrypt it")
        return None

    def _required(
        self, name: str, pattern: re.Pattern[bytes], what: str
    ) -> bytes | None:
        """Return what is to be found there; without it, there is a problem."""
        if not self._given(name) and not self._given(f"{name}_file"):
            self._table.refuse("", f"has no {name}_file, nor {name}")
            return None
        return self._pem(name, pattern, what)

    def _given(self, name: str) -> str:
        """Return the text at `name`; an empty one is as good as none."""
        return self._table.read(name, text_of) or ""

    def _pem(self, name: str, pattern: re.Pattern[bytes], what: str) -> bytes | None:
        """Return what stands at `name`, or in the file that is named there."""
        file_name = f"{name}_file"
        text, path = self._given(name), self._given(file_name)
        if "-----BEGIN" in path:
            # It is not told, for it may be a key.
            problem = f"is the {what} itself; write it at {name}, or the path of a file"
            self._table.refuse(file_name, problem)
            return None
        if path:
            if text:
                self._notes.append(f"{name} is ignored beside {file_name}")
            found, at = self._content(file_name, self._directory / path), file_name
        else:
            found, at = text.encode(errors="replace") if text else None, name
        if found is not None and not pattern.search(found):
            self._table.refuse(at, f"has no {what} in it; it must be PEM")
            return None
        return found

    def _content(self, name: str, path: Path) -> bytes | None:
        try:
            return self._files.read(path)
        except UnreadableFile as error:
            self._table.refuse(name, str(error))
            return None

    # --- clients ---

    def _verify(self) -> VerifyMode | None:
        table = self._table
        written = self._given("client_auth_type")
        if written in _UNVERIFIED:
            table.refuse(
                "client_auth_type",
                f"{written} lets in any certificate, also one that a client made for "
                f"itself, and is not supported; write {_VERIFY} and client_ca_file",
            )
            return None
        if not written:
            return VerifyMode.CERT_NONE
        if written == "RequestClientCert":
            self._notes.append(
                "client_auth_type RequestClientCert asks for a certificate and lets in "
                "who has none or any: clients are not asked"
            )
        return table.read("client_auth_type", one_of(_AUTH_TYPES))

    def _client_ca(self, verify: VerifyMode | None) -> bytes | None:
        table = self._table
        found = self._pem("client_ca", _CERTIFICATE, "certificate")
        given = [name for name in ("client_ca_file", "client_ca") if self._given(name)]
        written = self._given("client_auth_type")
        if given and written == _NO_CERTIFICATE:
            table.refuse(
                "client_auth_type",
                f"asks for no certificate, and there is a CA; write {_VERIFY}",
            )
        elif given and not written:
            table.refuse(
                given[0],
                f"is there without a client_auth_type; write {_VERIFY} there",
            )
        elif verify and not given:
            self._notes.append(
                "client certificates of every CA that this system trusts are taken: "
                "there is no client_ca_file"
            )
        return found

    def _allowed_names(self, verify: VerifyMode | None) -> frozenset[str] | None:
        table = self._table
        names = table.read("client_allowed_sans", texts_of)
        if names is None:
            return None
        if verify is not None and verify is not VerifyMode.CERT_REQUIRED:
            table.refuse(
                "client_allowed_sans",
                f"says nothing of who has no certificate; write client_auth_type: "
                f"{_VERIFY}",
            )
        return frozenset(names)

    # --- connections ---

    def _versions(self) -> tuple[TLSVersion, TLSVersion]:
        table = self._table
        lowest = table.read("min_version", one_of(_VERSIONS)) or TLSVersion.TLSv1_2
        highest = table.read("max_version", one_of(_VERSIONS)) or TLSVersion.TLSv1_3
        if self._given("min_version") in _OLD:
            self._notes.append("min_version is TLS12: older versions are broken")
        if self._given("max_version") in _OLD:
            table.refuse(
                "max_version",
                "leaves only versions that are broken; write TLS12 or TLS13",
            )
        return lowest, highest

    def _ciphers(self) -> tuple[tuple[str, ...], bool]:
        """Return the ciphers, and whether all that were given are of TLS 1.3."""
        names = self._table.read("cipher_suites", texts_of) or ()
        unknown = [name for name in names if name not in _CIPHERS]
        if unknown:
            self._table.refuse(
                "cipher_suites",
                f"{listed(map(quote, unknown))} is not known, or not safe; write any "
                f"of {listed(_CIPHERS)}",
            )
        ciphers = tuple(_CIPHERS[name] for name in names if _CIPHERS.get(name))
        return ciphers, bool(names) and not ciphers and not unknown

    def _curve(self) -> str:
        names = self._table.read("curve_preferences", texts_of) or ()
        unknown = [name for name in names if name not in _CURVES]
        if unknown:
            self._table.refuse(
                "curve_preferences",
                f"{listed(map(quote, unknown))} is not known; write any of "
                f"{listed(_CURVES)}",
            )
        elif len(names) == 1:
            return _CURVES[names[0]]
        elif names:
            self._notes.append(
                "curve_preferences with several curves is ignored: OpenSSL chooses "
                "among its own, which are safe"
            )
        return ""

    def _prefers_own_order(self) -> bool:
        return self._table.read("prefer_server_cipher_suites", flag_of) is not False
