"""The compose file by rules of our own; ``make deploy-check`` asks docker compose, which is not everywhere."""

import re
import subprocess

import pytest
import yaml

from deltaforge.spec import check_supported, load_file
from tests.fixtures.fix_package import ROOT

DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
PIPELINES = sorted((DEPLOY / "compose/pipelines").glob("*.yaml"))


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_a_release_and_not_what_is_newest(name):
    image = SERVICES[name]["image"]
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+(\.\d+)?(-\w+)?", image), image


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_gains_no_rights_and_publishes_to_this_machine_only(name):
    service = SERVICES[name]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not service.get("privileged")
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_the_engine_has_a_read_only_system_and_no_capabilities():
    service = SERVICES["deltaforge"]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert [entry.partition(":")[0] for entry in service["tmpfs"]] == ["/tmp"]  # noqa: S108 - of the container
    written = [volume for volume in service["volumes"] if not volume.endswith(":ro")]
    assert written == ["state:/var/lib/deltaforge"]


def test_what_is_named_is_there():
    used = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    folders = {name for name in used if name.startswith(".")}
    assert used - folders == set(COMPOSE["volumes"])
    assert [name for name in folders if not (DEPLOY / name).exists()] == []
    assert {name for service in SERVICES.values() for name in service.get("secrets", [])} == set(COMPOSE["secrets"])
    awaited = {name for service in SERVICES.values() for name in service.get("depends_on", [])}
    assert awaited <= set(SERVICES)
    assert all("healthcheck" in SERVICES[name] for name in SERVICES["deltaforge"]["depends_on"])


def test_no_secret_stands_in_an_environment_or_a_command():
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            assert not re.search(r"PASSWORD|TOKEN|SECRET", name) or str(value).startswith("/run/secrets/"), name
        assert not re.search(r"--(token|password)=", str(service.get("command")))


def test_the_secrets_are_made_once_and_each_is_another(tmp_path):
    script = tmp_path / "secrets.sh"
    script.write_bytes((DEPLOY / "compose/secrets.sh").read_bytes())
    subprocess.run(["bash", script], check=True, capture_output=True)
    folder = tmp_path / "secrets"
    made = {path.name: path.read_text() for path in folder.iterdir()}
    wanted = {entry["file"].rpartition("/")[2] for entry in COMPOSE["secrets"].values()}
    assert wanted <= set(made)
    assert len(set(made.values())) == len(made)
    assert folder.stat().st_mode & 0o777 == 0o700
    subprocess.run(["bash", script], check=True, capture_output=True)
    assert {path.name: path.read_text() for path in folder.iterdir()} == made


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.stem)
def test_a_pipeline_is_valid_and_takes_its_password_from_a_secret_of_the_service(path, tmp_path):
    named = set(re.findall(r"\$\{file:([\w-]+)\}", path.read_text()))
    assert named
    assert named <= set(SERVICES["deltaforge"]["secrets"])
    for name in named:
        (tmp_path / name).write_text("x")
    check_supported(load_file(path, {}, strict=True, secrets_dir=tmp_path).spec)
