"""The examples in deploy/ray/: Ray accepts the cluster file, and what both files name exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from jsonschema import ValidationError
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts.scripts import start

from app.cli.arguments import parse_arguments
from app.core.config import PROJECT_DIR, Settings

FOLDER = PROJECT_DIR / "deploy" / "ray"
HOME = "/opt/face-embeddings"
FLAGS = {name for option in start.params for name in option.opts}
SECRETS = set(re.findall(r"DB_\w+|\w*PASSWORD\w*|\w*SECRET\w*", " ".join(Settings.model_fields)))


def read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return content


@pytest.fixture
def cluster() -> dict[str, Any]:
    return read("cluster.yaml")


@pytest.fixture
def pods() -> dict[str, Any]:
    """The manifest's pods, by the group of Ray's nodes."""
    spec = read("kuberay.yaml")["spec"]
    return {"head": spec["headGroupSpec"], "worker": spec["workerGroupSpecs"][0]}


def test_ray_accepts_the_cluster_file(cluster: dict[str, Any]) -> None:
    validate_config(prepare_config(cluster))


def test_ray_refuses_keys_that_it_does_not_know(cluster: dict[str, Any]) -> None:
    for wrong in (cluster | {"max_worker": 3}, cluster | {"auth": cluster["auth"] | {"ssh_usr": "embeddings"}}):
        with pytest.raises(ValidationError):
            validate_config(prepare_config(wrong))


def commands(cluster: dict[str, Any]) -> Iterator[str]:
    for key, value in cluster.items():
        if key.endswith("_commands"):
            yield from value


def test_the_commands_name_files_and_flags_that_exist(cluster: dict[str, Any]) -> None:
    words = shlex.split(" ".join(commands(cluster)))
    assert {word for word in words if word.startswith("requirements")} == {"requirements.txt", "requirements-ray.txt"}
    assert all((PROJECT_DIR / word).exists() for word in words if word.startswith("requirements"))
    flags = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert "--head" in flags
    assert flags <= FLAGS


def test_every_address_has_a_worker(cluster: dict[str, Any]) -> None:
    addresses = cluster["provider"]["worker_ips"]
    assert len(addresses) == cluster["min_workers"] == cluster["max_workers"]


@pytest.mark.parametrize("name", ["cluster.yaml", "kuberay.yaml"])
def test_no_secret_stands_in_them(name: str) -> None:
    content = re.sub(r"^ *#.*$", "", (FOLDER / name).read_text(encoding="utf-8"), flags=re.M)
    assert "DB_URL" in SECRETS
    assert [secret for secret in SECRETS if secret in content] == []


def test_the_manifest_says_that_it_is_untried() -> None:
    assert (FOLDER / "kuberay.yaml").read_text(encoding="utf-8").startswith("# UNTRIED.")


def test_the_manifest_names_flags_and_settings_that_exist(pods: dict[str, Any]) -> None:
    for group in pods.values():
        assert {f"--{name}" for name in group["rayStartParams"]} <= FLAGS
        (container,) = group["template"]["spec"]["containers"]
        assert container["workingDir"] == HOME
        settings = {each["name"] for each in container["env"]}
        assert settings - {"RAY_USAGE_STATS_ENABLED"} <= set(Settings.model_fields) | {"DEEPFACE_HOME"}


def test_only_the_head_is_given_the_secret(pods: dict[str, Any]) -> None:
    given = {name: "envFrom" in pod["template"]["spec"]["containers"][0] for name, pod in pods.items()}
    assert given == {"head": True, "worker": False}


def test_the_manifest_s_run_is_one_that_the_program_knows() -> None:
    (line,) = re.findall(r"run_embeddings\.sh (.+)", (FOLDER / "kuberay.yaml").read_text(encoding="utf-8"))
    options = parse_arguments(shlex.split(line))
    assert (options.engine, options.ray_address) == ("ray", "127.0.0.1:6379")
    assert (PROJECT_DIR / "run_embeddings.sh").exists()
