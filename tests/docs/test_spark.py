"""docs/spark.md is done, line by line, where there is a Spark: see its last section."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import run_process
from tests.conftest import saved_classes
from tests.qdrant import QdrantProcess

PAGE = (Path(__file__).parents[2] / "docs" / "spark.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SPARK = os.environ.get("CBIR_SPARK", "")


@pytest.mark.skipif(not SPARK, reason="CBIR_SPARK names no environment with pyspark and the connector's jars")
def test_what_spark_stores_is_searched_and_found_unchanged(tmp_path: Path, own_qdrant: QdrantProcess):
    photos = saved_classes(tmp_path / "photos", ("a", "b"), 20)
    (tmp_path / "jars").symlink_to(Path(SPARK) / "jars")
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "CBIR_HOME": str(tmp_path / "home"),
        "QDRANT_URL": own_qdrant.url,
        "QDRANT_GRPC_URL": f"http://127.0.0.1:{own_qdrant.grpc_port}",
        "QDRANT_GRPC_PORT": str(own_qdrant.grpc_port),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    for kind, block in BLOCKS:
        text = block.replace("--limit 1000", "--limit 5 --encoder pixels")
        command = ["bash", "-euc", text] if kind == "sh" else [str(Path(SPARK) / "bin" / "python"), "-c", text]
        done = subprocess.run(command, cwd=tmp_path, env={**os.environ, **environment}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    report = json.loads(run_process("ingest", photos, "-c", "photos", "--checksum", "--json", **environment).stdout)
    assert (report["points"], report["unchanged"], report["ingested"]) == (40, 40, 0)
    found = json.loads(run_process("search", photos / "b" / "19.png", "-c", "photos", "--json", **environment).stdout)
    assert found["queries"][0]["hits"][0]["uri"] == "b/19.png"
