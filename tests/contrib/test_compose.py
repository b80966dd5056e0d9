"""The files of contrib/compose fit each other, and the programs that they are for."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import click
import pytest
from doc_examples import ROOT
from exposed import exposed
from promtool import needs_promtool
from ruamel.yaml import YAML

from pushrelay.cli.main import cli
from pushrelay.cli.serve import serve
from pushrelay.config import OWN_METRICS_PATH
from pushrelay.job_rules import parse_rules
from requirements.sbom import RUNTIME, pins_of

HERE = ROOT / "contrib/compose"
README = (HERE / "README.md").read_text()
RULES = sorted((ROOT / "contrib/prometheus").glob("*.rules.yml"))
TEXT = (HERE / "compose.yaml").read_text()
LOOPBACK = re.compile(r"127\.0\.0\.1:\d+:\d+|\$\{\w+:-127\.0\.0\.1:\d+\}:\d+")


def read(path: str) -> Any:
    return YAML(typ="safe").load(HERE / path)


COMPOSE = read("compose.yaml")
SERVICES: dict[str, Any] = COMPOSE["services"]


def mounts(service: str) -> Iterator[tuple[str, str]]:
    """Yield (what, where) of everything that is mounted into a service."""
    for mount in SERVICES[service].get("volumes", ()):
        source, target, *_ = mount.split(":")
        yield source, target


# compose.yaml -----------------------------------------------------------------------


def test_the_file_has_the_schema_of_compose() -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "check_jsonschema"),
            *("--builtin-schema", "vendor.compose-spec", HERE / "compose.yaml"),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_mounted_is_there(service: str) -> None:
    for source, target in mounts(service):
        assert target.startswith("/")
        if source.startswith("."):
            assert (HERE / source).exists(), source
        else:
            assert source in COMPOSE["volumes"]


def test_every_file_is_mounted() -> None:
    mounted = {
        (HERE / source).resolve() for each in SERVICES for source, _ in mounts(each)
    }
    for path in HERE.rglob("*"):
        if path.is_file() and path.name not in {"README.md", "compose.yaml", ".env"}:
            assert mounted & {path, *path.parents}, path


def test_only_the_loopback_has_ports_unless_one_is_told() -> None:
    ports = [port for each in SERVICES.values() for port in each.get("ports", ())]
    assert len(ports) == 4
    assert all(LOOPBACK.fullmatch(port) for port in ports)


def test_there_is_no_password_to_begin_with() -> None:
    secret = {
        (name, value)
        for each in SERVICES.values()
        for name, value in each.get("environment", {}).items()
        if "PASSWORD" in name
    }
    assert len(secret) == 3
    for _, value in secret:
        assert re.fullmatch(
            r"\$\{\w+_PASSWORD:\?is not set; README.md says how\}", value
        )
    for variable in re.findall(r"\$\{(\w+)", TEXT):
        assert f"{variable}=" in README, variable


@pytest.mark.parametrize("service", ["migrate", "relay1", "relay2"])
def test_relays_are_told_what_they_know(service: str) -> None:
    known = {option.envvar for option in serve.params}
    told = SERVICES[service]["environment"]
    assert {name for name in told if name.startswith("PUSHRELAY_")} <= known
    [(_, where)] = mounts(service)
    rules = told["PUSHRELAY_CONFIG_FILE"]
    assert Path(rules).parent == Path(where)
    assert len(parse_rules((HERE / "relay" / Path(rules).name).read_text(), rules)) == 1


@pytest.mark.parametrize("service", ["migrate", "relay1", "relay2"])
def test_relays_have_no_privileges_and_write_to_no_disk(service: str) -> None:
    relay = SERVICES[service]
    assert relay["read_only"] is True
    assert relay["cap_drop"] == ["ALL"]
    assert relay["security_opt"] == ["no-new-privileges:true"]
    assert relay["tmpfs"] == ["/data", "/tmp"]
    assert all(mount.endswith(":ro") for mount in relay["volumes"])


def test_relays_trust_the_balancer_alone() -> None:
    balancer = SERVICES["haproxy"]["networks"]["default"]["ipv4_address"]
    [pool] = COMPOSE["networks"]["default"]["ipam"]["config"]
    assert ip_address(balancer) in ip_network(pool["subnet"])
    assert ip_address(balancer) not in ip_network(pool["ip_range"])
    for relay in ("relay1", "relay2"):
        told = SERVICES[relay]["environment"]
        assert told["PUSHRELAY_WEB_TRUSTED_PROXIES"] == balancer


def test_the_tables_are_made_before_the_relays_start() -> None:
    command: click.Command = cli
    for word in SERVICES["migrate"]["command"]:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), word)
        assert found is not None
        command = found
    for relay in ("relay1", "relay2"):
        needed = SERVICES[relay]["depends_on"]
        assert needed == {"migrate": {"condition": "service_completed_successfully"}}
        assert "command" not in SERVICES[relay]


def test_the_image_has_the_driver_of_postgresql() -> None:
    assert (HERE / SERVICES["relay1"]["build"]).resolve() == ROOT
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "-r requirements/runtime.txt" in dockerfile
    assert "psycopg-binary" in pins_of(RUNTIME)


# What is configured beside it -------------------------------------------------------


def test_every_address_is_a_port_of_a_service() -> None:
    told = {
        str(path.relative_to(HERE)): set(
            re.findall(r"\b([a-z]\w*):(\d+)\b", path.read_text())
        )
        for path in HERE.rglob("*.*")
        if path.suffix in {".cfg", ".yml"}
    }
    ports = {
        "relay1": {"9091"},
        "relay2": {"9091"},
        "haproxy": set(re.findall(r'bind "\$\{\w+-:(\d+)\}"', text_of("haproxy.cfg"))),
        "alertmanager": {"9093"},
        "prometheus": {"9090"},
    }
    assert ports["haproxy"] == {"9091", "8405"}
    for name, addresses in told.items():
        for host, port in addresses:
            assert host in SERVICES, name
            assert port in ports[host], name
    relays = {("relay1", "9091"), ("relay2", "9091")}
    assert relays <= told["haproxy.cfg"]
    assert relays <= told["prometheus.yml"]


def text_of(path: str) -> str:
    return (HERE / path).read_text()


def test_replicas_are_scraped_one_by_one_and_the_store_through_the_balancer() -> None:
    jobs = {job["job_name"]: job for job in read("prometheus.yml")["scrape_configs"]}
    [stored] = jobs["pushrelay"]["static_configs"]
    assert jobs["pushrelay"]["honor_labels"] is True
    assert stored["targets"] == ["haproxy:9091"]
    [own] = jobs["pushrelay-replicas"]["static_configs"]
    assert jobs["pushrelay-replicas"]["metrics_path"] == OWN_METRICS_PATH
    assert own["targets"] == ["relay1:9091", "relay2:9091"]


@pytest.mark.system
@needs_promtool
def test_prometheus_takes_its_configuration_with_all_rules(tmp_path: Path) -> None:
    for source, target in mounts("prometheus"):
        if source.startswith("."):
            copy = tmp_path / Path(target).relative_to("/etc/prometheus")
            (shutil.copytree if (HERE / source).is_dir() else shutil.copy)(
                HERE / source, copy
            )
    done = subprocess.run(
        ["promtool", "check", "config", tmp_path / "prometheus.yml"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rule_files = read("prometheus.yml")["rule_files"]
    assert done.stdout.count("rules found") == len(rule_files) == len(RULES) - 1


def test_the_rules_name_metrics_that_there_are() -> None:
    text = " ".join(path.read_text() for path in RULES)
    named = set(re.findall(r"(?<!:)\bpush(?:relay|_time)_\w+\b(?!:)", text))
    assert len(named) > 10
    assert named <= {*exposed(), "push_time_seconds"}
