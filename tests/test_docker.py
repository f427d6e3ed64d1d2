"""The files for Docker, read by docker compose's own parser and by hadolint; no engine is needed."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent


def compose(*arguments: str, fails: bool = False, **environment: str) -> str:
    """Run docker compose; its wrapper's exit code tells nothing, its error does."""
    done = subprocess.run(
        [BIN / "docker-compose", "--project-directory", ROOT, "--env-file", os.devnull, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert bool(done.stderr) == fails, done.stderr
    return done.stderr if fails else done.stdout


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    document = json.loads(compose("--profile", "*", "config", "--format", "json", QDRANT_API_KEY="a-key"))
    return dict(document["services"])


def test_profiles():
    def names(*profiles: str) -> set[str]:
        chosen = [word for profile in profiles for word in ("--profile", profile)]
        return set(compose(*chosen, "config", "--services", QDRANT_API_KEY="a-key").split())

    assert names() == {"qdrant"}
    assert names("cluster") == {"qdrant", "node-1", "node-2", "node-3"}
    assert names("cbir") == {"qdrant", "cbir", "train"}


def test_without_a_key_nothing_starts():
    assert "set QDRANT_API_KEY in the environment or in .env" in compose("config", fails=True, QDRANT_API_KEY="")
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    named = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text(encoding="utf-8")))
    assert named == set(re.findall(r"^#? ?(\w+)=", example, re.MULTILINE))
    assert re.search(r"^\.env$", (ROOT / ".gitignore").read_text(encoding="utf-8"), re.MULTILINE)


def test_servers_are_pinned_local_limited_healthy_and_durable(services: dict[str, Any]):
    taken = set()
    for name in ("qdrant", "node-1", "node-2", "node-3"):
        server = services[name]
        assert re.fullmatch(r"qdrant/qdrant:v\d+\.\d+\.\d+", server["image"])
        assert {port["host_ip"] for port in server["ports"]} == {"127.0.0.1"}
        assert [port["target"] for port in server["ports"]] == [6333, 6334]
        taken |= {port["published"] for port in server["ports"]}
        assert server["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
        assert "/readyz" in server["healthcheck"]["test"][-1]
        assert server["restart"] == "unless-stopped"
        assert {volume["type"] for volume in server["volumes"]} == {"volume"}
        assert "/qdrant/storage" in {volume["target"] for volume in server["volumes"]}
        assert server["environment"]["QDRANT__SERVICE__API_KEY"] == "a-key"
    assert len(taken) == 8, "each node has ports of its own"
    nodes = [services[f"node-{n}"] for n in (1, 2, 3)]
    assert all(node["environment"]["QDRANT__CLUSTER__ENABLED"] == "true" for node in nodes)
    assert [("--bootstrap" in node["command"]) for node in nodes] == [False, True, True]


def test_cbir_reaches_the_server_over_the_loopback_interface_only(services: dict[str, Any]):
    for name, target in (("cbir", "search"), ("train", "train")):
        service = services[name]
        assert service["network_mode"] == "service:qdrant"
        assert service["environment"]["QDRANT_URL"] == "http://127.0.0.1:6333"
        assert service["depends_on"]["qdrant"]["condition"] == "service_healthy"
        assert service["build"]["target"] == target
        pictures = next(v for v in service["volumes"] if v["target"].endswith("pictures"))
        assert pictures["read_only"]


def test_the_health_check_tells_a_ready_server(qdrant: str):
    check = json.loads(compose("config", "--format", "json", QDRANT_API_KEY="a-key"))
    command = check["services"]["qdrant"]["healthcheck"]["test"][1:]
    here = [word.replace("6333", qdrant.rpartition(":")[2]) for word in command]
    assert subprocess.run(here).returncode == 0
    nowhere = [word.replace("6333", "9") for word in command]
    assert subprocess.run(nowhere, stderr=subprocess.DEVNULL).returncode != 0


def test_the_dockerfile_is_clean_and_its_search_image_has_no_tensorflow():
    done = subprocess.run([BIN / "hadolint", "--format", "json", ROOT / "Dockerfile"], capture_output=True, text=True)
    assert json.loads(done.stdout) == []
    stages = re.split(r"^FROM ", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    by_name = {stage.splitlines()[0].rpartition(" AS ")[2]: stage for stage in stages}
    assert by_name["search"].splitlines()[0] == "runtime AS search"
    assert "--from=build " in by_name["search"]
    assert "[train" not in by_name["build"]
    assert "[train,figures,words]" in by_name["build-train"]
    assert re.search(r"^USER \d+$", by_name["runtime"], re.MULTILINE)
    copied = set(re.findall(r"^COPY (\w+) \w+$", by_name["build"], re.MULTILINE))
    assert copied == {"cbir", "collection", "core", "evaluate", "ingest", "model", "search"}
