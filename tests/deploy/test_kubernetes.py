"""The manifest is what Kubernetes' own schemas ask, asks for no more than it needs, and its command runs.

It runs here as it would run there, but for the user's number: nothing can be written to, no capability is
left, and none can be had.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from running_service import Running, grey, running

from dgqa_infer.cli._options import bytes_of
from dgqa_infer.service import server
from dgqa_infer.service.app import openapi

CONFINED = ("unshare", "--mount", "setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")
"""What goes before a command: a mount namespace of its own, no capabilities, and none to be had."""
READ_ONLY = "mount --bind /tmp /tmp && mount -o remount,bind,ro /tmp && mount -o remount,bind,ro /"


@pytest.fixture(scope="module")
def manifest(repository: Path) -> dict[str, dict[str, Any]]:
    """Each object by its kind."""
    objects = yaml.safe_load_all((repository / "deploy" / "kubernetes.yaml").read_text())
    return {found["kind"]: found for found in objects}


@pytest.fixture(scope="module")
def pod(manifest: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return dict(manifest["Deployment"]["spec"]["template"]["spec"])


@pytest.fixture(scope="module")
def container(pod: dict[str, Any]) -> dict[str, Any]:
    (found,) = pod["containers"]
    return dict(found)


def test_every_object_is_as_kubernetes_has_it(manifest: dict[str, dict[str, Any]]) -> None:
    assert list(manifest) == ["Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy"]
    for found in manifest.values():
        kubernetes_validate.validate(found, kubernetes_validate.latest_version(), strict=True)


def test_the_schemas_see_a_fault(manifest: dict[str, dict[str, Any]]) -> None:
    broken = json.loads(json.dumps(manifest["Deployment"]))
    broken["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, kubernetes_validate.latest_version(), strict=True)


def test_what_selects_selects_the_pods(manifest: dict[str, dict[str, Any]]) -> None:
    labels = manifest["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert manifest["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert manifest["Service"]["spec"]["selector"] == labels
    assert manifest["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert manifest["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels


def test_it_is_no_root_and_cannot_become_one(pod: dict[str, Any], container: dict[str, Any]) -> None:
    """What the Pod Security Standard "restricted" asks, and a root file system that is not written to."""
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    (volume,) = pod["volumes"]
    assert "emptyDir" in volume
    assert container["volumeMounts"] == [{"name": volume["name"], "mountPath": "/tmp"}]


def test_the_user_and_the_port_are_those_of_the_image(
    repository: Path, pod: dict[str, Any], container: dict[str, Any]
) -> None:
    image = (repository / "Containerfile").read_text()
    context = pod["securityContext"]
    assert f"USER {context['runAsUser']}:{context['runAsGroup']}" in image
    (port,) = container["ports"]
    assert f"EXPOSE {port['containerPort']}" in image


def test_probes_ask_what_the_service_answers_without_a_token(container: dict[str, Any]) -> None:
    paths = json.loads(openapi())["paths"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = container[probe]["httpGet"]
        assert paths[asked["path"]]["get"]["security"] == []
        assert asked["port"] == container["ports"][0]["name"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_requests_in_hand_have_their_time_before_it_is_killed(
    pod: dict[str, Any], container: dict[str, Any]
) -> None:
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] >= pause + server._SHUTDOWN_SECONDS + 5


def test_the_memory_that_it_may_take_is_the_memory_that_it_has(container: dict[str, Any]) -> None:
    told = dict(each.removeprefix("--").split("=") for each in container["args"])
    workers = int(told["workers"]) * bytes_of("--limit-memory", told["limit-memory"])
    # A body is copied once, to its worker.
    uploads = 2 * bytes_of("--limit-uploads", told["limit-uploads"])
    model = 600_000_000
    limit = re.fullmatch(r"(\d+)Gi", container["resources"]["limits"]["memory"])
    assert limit is not None
    assert workers + uploads + model <= int(limit[1]) << 30
    assert container["resources"]["limits"]["cpu"] == told["workers"]


@pytest.fixture
def confined(tiny_bundle: Path, container: dict[str, Any]) -> Iterator[Running]:
    """The service with the manifest's options, where nothing can be written to and nothing is permitted."""
    if os.geteuid() != 0 or shutil.which("unshare") is None or shutil.which("setpriv") is None:
        pytest.skip("a root file system can be made read-only by root alone, with unshare and setpriv")
    if subprocess.run([*CONFINED[:2], "true"], capture_output=True).returncode:
        pytest.skip("no mount namespaces are to be had here")
    token = {"DGQA_TOKEN": "secret"}
    with running(tiny_bundle, *container["args"], environment=token, within=within) as found:
        yield found


def within(command: list[str]) -> list[str]:
    unshare, mount, *drop = CONFINED
    return [unshare, mount, "sh", "-c", f'{READ_ONLY} && exec "$@"', "sh", *drop, *command]


def test_what_it_starts_runs_where_nothing_can_be_written_to(confined: Running) -> None:
    status = Path(f"/proc/{confined.process.pid}/status").read_text()
    assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE)
    mounts = Path(f"/proc/{confined.process.pid}/mounts").read_text().splitlines()
    root = [line.split() for line in mounts if line.split()[1] in ("/", "/tmp")]
    assert all("ro" in options.split(",") for _, _, _, options, *_ in root)
    authorized = {"Authorization": "Bearer secret"}
    answer = confined.call("POST", "/v1/score?explain=1", grey(255), authorized)
    assert (answer.status, answer.json["score"]) == (200, 100)
    assert confined.score(grey(0)).status == 401
    assert confined.call("GET", "/readyz").status == 200
    confined.process.send_signal(signal.SIGTERM)
    assert confined.ended() == (0, "")
