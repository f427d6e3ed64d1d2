"""`GET /healthz` and `/metrics`: for whatever watches the server."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter
from fastapi.responses import Response

from cbir.serve.health import UnhealthyError
from cbir.serve.metrics import CONTENT_TYPE
from cbir.serve.problems import problem
from cbir.serve.schemas import HealthAnswer
from cbir.serve.state import Served

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Tell whether the collection can be searched", response_model=HealthAnswer)
async def healthz(served: Served) -> Response | HealthAnswer:
    """Tell whether the collection that is shown first can be searched: 503 if it cannot, and why."""
    try:
        state = await served.health.state()
    except UnhealthyError as error:
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), {"Retry-After": "5"})
    return HealthAnswer(status="ok", collection=state.collection, problems=dict(state.problems))


@router.get(
    "/metrics",
    summary="Count requests, for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus's format."}},
)
async def metrics(served: Served) -> Response:
    """Tell requests and latencies, encoding and searching apart, queue and batches, in the format of Prometheus."""
    return Response(served.metrics.text(), headers={"Content-Type": CONTENT_TYPE})
