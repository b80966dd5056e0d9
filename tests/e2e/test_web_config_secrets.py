"""What is in the web configuration file, and what it names, is told to nobody."""

from __future__ import annotations

import traceback
from pathlib import Path

import bcrypt
import pytest
from certificates import Certificate, make_ca, make_certificate
from planted import basic, command_line, leaks
from tls_use import TLSRelay, client_context
from waiting import wait_until
from worker_process import master_of, worker_of

from pushrelay.errors import InvalidWebConfig
from pushrelay.web.web_config import read_web_config

pytestmark = pytest.mark.system

PASSWORD = "planted:pass/word@here"
HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
"""What is kept of it; the cheapest there is."""

READ = [
    *("/", "/metrics", "/-/metrics", "/-/ready", "/api/v1/status", "/api/v1/metrics"),
    *("/api/v1/groups", "/api/v1/runs", "/nothing", "/api/v1/runs?limit=x"),
]


def config(certificate: Certificate, hash_: str = HASH) -> str:
    return f"""
tls_server_config:
  cert_file: {certificate.certificate}
  key_file: {certificate.key}
basic_auth_users:
  planter: '{hash_}'
"""


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_ca(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def certificate(ca: Certificate) -> Certificate:
    return make_certificate(ca, "relay", "DNS:localhost")


@pytest.fixture(scope="module")
def secrets(certificate: Certificate) -> dict[str, str]:
    """What nobody may see, each line of the key among it."""
    lines = certificate.key.read_text().splitlines()[1:-1]
    key = {f"line {number} of the key": line for number, line in enumerate(lines)}
    salt, digest = HASH[:29], HASH[29:]
    hashes = {"the salt": salt.rpartition("$")[2], "the digest": digest}
    return {"the password": PASSWORD, **hashes, **key}


def mistakes(certificate: Certificate) -> dict[str, str]:
    """Return files that are wrong, by what is wrong with them."""
    good = config(certificate)
    key = certificate.key.read_text()
    inline = "".join(f"    {line}\n" for line in key.splitlines())
    return {
        "a password for its hash": good.replace(HASH, PASSWORD),
        "half a hash": good.replace(HASH, HASH[:40]),
        "a longer hash": good.replace(HASH, f"{HASH}x"),
        "an open quote": good.replace(f"{HASH}'", HASH),
        "no blank": good.replace(f"planter: '{HASH}'", f"planter:{HASH}"),
        "a list": good.replace(f"planter: '{HASH}'", f"- planter:{HASH}"),
        "two of a name": good + f"  planter: '{HASH}'\n",
        "the wrong way round": good.replace(f"planter: '{HASH}'", f"'{HASH}': planter"),
        "no such section": good.replace("basic_auth_users", "basic_auth"),
        "outside of its section": good.replace("  planter", "planter"),
        "no such value": good.replace(f"'{HASH}'", f"*{HASH[-20:]}"),
        "a tag": good.replace(f"'{HASH}'", f"!{HASH[-20:]} x"),
        "a tab": good.replace(f"'{HASH}'", f"\t{HASH}: x"),
        "a key in place of its file": good.replace(
            str(certificate.key), f"|\n{inline}"
        ),
    }


@pytest.mark.parametrize(
    "mistake", mistakes(Certificate(Path(__file__), Path(__file__)))
)
def test_what_is_wrong_with_the_file_is_told_without_them(
    mistake: str, certificate: Certificate, secrets: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "web.yml"
    file.write_text(mistakes(certificate)[mistake])
    with pytest.raises(InvalidWebConfig) as refused:
        read_web_config(file)
    told = "".join(traceback.format_exception(refused.value))
    assert not leaks(secrets, {"the error": f"{refused.value}\n{told}".encode()})


def test_a_relay_keeps_them_to_itself(
    ca: Certificate, certificate: Certificate, secrets: dict[str, str], tmp_path: Path
) -> None:
    flags = ["--log.level=debug", "--auth.anonymous=health"]
    text = config(certificate)
    right = {"Authorization": f"Basic {basic('planter', PASSWORD)}"}
    wrong = {"Authorization": f"Basic {basic('planter', PASSWORD[:-1])}"}
    answers = []
    with TLSRelay(tmp_path, text, client_context(ca), *flags) as relay:
        for head in (right, wrong, {"Authorization": f"Bearer {PASSWORD}"}, {}):
            answers += [relay.get(path, head) for path in READ]
            answers.append(relay.put("/metrics/job/x", "a 1\n", head))
            answers.append(relay.put("/metrics/job/x", "a{ 1\n", head))
        assert {each.status for each in answers} >= {200, 400, 401, 404}
        relay.file.write_text(mistakes(certificate)["half a hash"])
        wait_until(lambda: "is no bcrypt hash" in relay.log, "that it is read again")
        places = {
            f"command line of {pid}": command_line(pid)
            for pid in (master_of(relay), worker_of(relay))
        }
    for number, response in enumerate(answers):
        places[f"answer {number}"] = f"{response.headers}".encode() + response.body
    places["log"] = relay.log.encode()
    assert b"web.yml" in places["log"]
    assert not leaks(secrets | {"what is sent": basic("planter", PASSWORD)}, places)
