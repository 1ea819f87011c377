"""The examples for a Ray cluster in deploy/ray/ are what Ray reads, name files that there are, and hold no secret."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from app.cli.arguments import parse_arguments
from app.core.config import PROJECT_DIR, Settings
from app.core.version import VERSION

RAY = PROJECT_DIR / "deploy" / "ray"
FILES = ("cluster.yaml", "kuberay.yaml")
ROOT = "/opt/face-embeddings/"


def read(name: str) -> Any:
    return yaml.safe_load((RAY / name).read_text(encoding="utf-8"))


def test_ray_takes_the_cluster_file() -> None:
    validate_config(prepare_config(read("cluster.yaml")))


@pytest.mark.parametrize(
    ("path", "value"), [(("worker_comands",), []), (("provider", "type"), 7), (("max_workers",), "three")]
)
def test_ray_s_schema_refuses_what_it_does_not_know(path: tuple[str, ...], value: object) -> None:
    config = deepcopy(read("cluster.yaml"))
    part = config
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        validate_config(config)


def test_secrets_stay_on_the_first_machine() -> None:
    assert ".env" in read("cluster.yaml")["rsync_exclude"]
    (workers,) = read("kuberay.yaml")["spec"]["workerGroupSpecs"]
    (worker,) = workers["template"]["spec"]["containers"]
    assert "envFrom" not in worker
    assert {each["name"] for each in worker["env"]} <= {"DEEPFACE_HOME", "RAY_USAGE_STATS_ENABLED"}


@pytest.mark.parametrize("name", FILES)
def test_the_words_of_the_examples_are_ours(name: str) -> None:
    text = (RAY / name).read_text(encoding="utf-8")
    commands = re.findall(r"run_embeddings\.sh (--.+)", text)
    assert commands
    for words in commands:
        assert parse_arguments(words.split()).engine == "ray"
    for file in re.findall(r"requirements[\w-]*\.txt", text):
        assert (PROJECT_DIR / file).exists()
    assert set(re.findall(r"\b(?:WORKER|DOWNLOAD|DEEPFACE)_[A-Z]+\b", text)) <= Settings.model_fields.keys()


def test_the_image_is_of_this_version() -> None:
    (head,) = read("kuberay.yaml")["spec"]["headGroupSpec"]["template"]["spec"]["containers"]
    assert head["image"].endswith(f":{VERSION}")
