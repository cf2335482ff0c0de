"""Judges what a chart renders to, by the schemas of Kubernetes and our rules: ``chart_check.py VALUES RENDERED``."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

KUBERNETES = "1.34"
FOREIGN = {"ServiceMonitor", "PrometheusRule"}
"""Kinds of the Prometheus operator, which Kubernetes has no schemas of."""
POD_RULES = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
CONTAINER_RULES = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def main(values: Path, rendered: Path) -> int:
    """Print what is wrong with each object; 1 if anything is."""
    objects = [found for found in yaml.safe_load_all(rendered.read_text(encoding="utf-8")) if found]
    wrong = [fault for found in objects for fault in _faults(found)]
    for fault in wrong:
        print(f"{values.name}: {fault}", file=sys.stderr)
    print(f"{values.name}: {len(objects)} objects: {' '.join(sorted(found['kind'] for found in objects))}")
    return 1 if wrong else 0


def _faults(found: dict[str, Any]) -> Iterator[str]:
    kind = found["kind"]
    if kind not in FOREIGN:
        try:
            kubernetes_validate.validate(found, KUBERNETES, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"{kind}: {error.message}"
    if kind == "StatefulSet":
        yield from _of_pod(found["spec"]["template"]["spec"])
        yield from _of_cluster(found)
    if kind == "NetworkPolicy":
        yield from _of_policy(found["spec"])
    if kind == "ConfigMap":
        yield from _of_documents(found["data"])


def _of_pod(pod: dict[str, Any]) -> Iterator[str]:
    for key, wanted in POD_RULES.items():
        if pod["securityContext"].get(key) != wanted:
            yield f"pod: securityContext.{key} is not {wanted}"
    volumes = {volume["name"] for volume in pod["volumes"]} | {"state"}
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        for key, wanted in CONTAINER_RULES.items():
            if container["securityContext"].get(key) != wanted:
                yield f"container: securityContext.{key} is not {wanted}"
        if container["image"].endswith(":latest") or not {":", "@"} & set(container["image"]):
            yield f"container: image {container['image']} is not pinned"
    for container in pod["containers"]:
        if {mount["name"] for mount in container["volumeMounts"]} != volumes:
            yield "container: not every volume is mounted, or one that is not there"
        serves = any(port["name"] == "api" for port in container["ports"])
        if serves and not {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container):
            yield "container: a probe is missing"


def _of_cluster(found: dict[str, Any]) -> Iterator[str]:
    """Every pod is in the addresses, at its place and at the port that it opens."""
    container = found["spec"]["template"]["spec"]["containers"][0]
    addresses = next((entry["value"] for entry in container["env"] if entry["name"] == "BYTEWAX_ADDRESSES"), None)
    if addresses is None:
        return
    name, service = found["metadata"]["name"], found["spec"]["serviceName"]
    port = next(port["containerPort"] for port in container["ports"] if port["name"] == "cluster")
    places = [[*address.split(".")[:2], address.rpartition(":")[2]] for address in addresses.split(";")]
    if places != [[f"{name}-{number}", service, str(port)] for number in range(found["spec"]["replicas"])]:
        yield f"pods are not those of the addresses: {addresses}"


def _of_policy(policy: dict[str, Any]) -> Iterator[str]:
    """A cluster port, which is every port without a name, is for pods of the release alone."""
    for rule in policy["ingress"]:
        numbered = [port["port"] for port in rule["ports"] if isinstance(port["port"], int)]
        if numbered and rule["from"] != [{"podSelector": policy["podSelector"]}]:
            yield f"others may connect to cluster port {numbered}"


def _of_documents(data: dict[str, str]) -> Iterator[str]:
    """Documents are valid as they arrive in the pod, after the indentation of a template."""
    for name, text in data.items():
        if not name.endswith((".yaml", ".yml")):
            continue
        with tempfile.TemporaryDirectory() as folder:
            for secret in re.findall(r"\$\{file:([\w.-]+)\}", text):
                Path(folder, secret).write_text("x", encoding="utf-8")
            document = Path(folder, name)
            document.write_text(text, encoding="utf-8")
            command = [sys.executable, "-P", "-m", "deltaforge", "validate", "--strict", str(document)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            yield f"{name}: {done.stderr.strip()}"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
