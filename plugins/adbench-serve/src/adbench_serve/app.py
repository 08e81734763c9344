"""The web application: detectors behind HTTP."""

from __future__ import annotations

import asyncio
import hmac
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from adbench import AdbenchError, BadImage, Detector
from adbench_serve.answers import Extras, about, answer_of, failure_of
from adbench_serve.batches import Batches, Outcome
from adbench_serve.limits import Arrivals, Limits, Refusal, UploadBudget
from adbench_serve.pages import FILES, add_page
from adbench_serve.uploads import Upload, uploaded

SAFE = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""Headers of every response; the page has a policy of its own."""
FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {"image": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                }
            }
        },
    }
}
OPEN = ("/healthz", "/readyz", *FILES)
"""What is answered without the token."""


class Service:
    """Detectors at work, with their limits and their counters.

    Args:
        detectors: by name; the first answers where none is named.
        limits: of requests.
    """

    def __init__(self, detectors: Mapping[str, Detector], limits: Limits) -> None:
        self.limits, self.waiting, self.stopping = limits, 0, False
        self.arrivals = Arrivals(limits.arriving, limits.patience)
        self.registry = CollectorRegistry()
        self._images = Counter("adbench_images", "Images scored.", ["detector"], registry=self.registry)
        self._sizes = Histogram("adbench_batch_images", "Images in a batch.", registry=self.registry)
        self.seconds = Histogram("adbench_request_seconds", "Time of a prediction.", registry=self.registry)
        self.refused = Counter("adbench_refused", "Requests refused.", ["status"], registry=self.registry)
        busy = Gauge("adbench_requests_under_way", "Predictions under way.", registry=self.registry)
        busy.set_function(lambda: len(self.arrivals) + self.waiting)
        self.budget = UploadBudget(limits.together)
        held = Gauge("adbench_upload_bytes", "Bytes of uploads under way.", registry=self.registry)
        held.set_function(lambda: self.budget.taken)
        self.thread = ThreadPoolExecutor(1, "scores")
        self.batches = {name: Batches(one, self.thread, self._sizes.observe) for name, one in detectors.items()}

    def named(self, name: str | None) -> tuple[str, Batches]:
        """The batches of a detector.

        Raises:
            Refusal: there is no such detector (404).
        """
        chosen = next(iter(self.batches)) if name is None else name
        if chosen not in self.batches:
            raise Refusal(404, f"there is no such detector here; there are: {', '.join(self.batches)}")
        return chosen, self.batches[chosen]

    async def predict(self, request: Request, name: str | None, extras: Extras) -> dict[str, Any]:
        """The answer to a request for predictions.

        Raises:
            Refusal: a limit is reached, or no image can be read.
        """
        chosen, batches = self.named(name)
        self.require_room()
        scratch = tempfile.TemporaryDirectory(prefix="adbench-serve-")
        with self.budget.share() as take, scratch as folder, self.seconds.time():
            with self.arrivals.place() as lost:
                images = await uploaded(request, Path(folder), self.limits, take, lost)
            with self._in_queue():
                answers = await self._in_time(self._scored(batches, images, extras))
        self._images.labels(chosen).inc(sum(answer["error"] is None for answer in answers))
        return {"detector": chosen, "predictions": answers}

    @property
    def has_room(self) -> bool:
        """Whether another request would be taken."""
        return self.waiting < self.limits.queue and self.arrivals.has_room and not self.stopping

    def require_room(self) -> None:
        """Raise `Refusal` (429) where so many requests wait for their answers as may."""
        if self.waiting >= self.limits.queue:
            raise Refusal(429, f"{self.waiting} requests wait for answers, which is the limit; try again in a second")

    @contextmanager
    def _in_queue(self) -> Iterator[None]:
        self.require_room()
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1

    async def _scored(self, batches: Batches, images: list[Upload], extras: Extras) -> list[dict[str, Any]]:
        outcomes = iter(await batches.score([image.path for image in images if not image.problem]))
        # In the one thread, so that the maps of one request at a time take memory.
        answers = partial(_answers, images, outcomes, extras)
        return await asyncio.get_running_loop().run_in_executor(self.thread, answers)

    async def _in_time(self, work: Coroutine[Any, Any, list[dict[str, Any]]]) -> list[dict[str, Any]]:
        try:
            return await asyncio.wait_for(work, self.limits.seconds)
        except asyncio.TimeoutError:
            raise Refusal(
                503, f"no answer within {self.limits.seconds:g} seconds; the server is busy, try later"
            ) from None


def _answers(images: list[Upload], outcomes: Iterator[Outcome], extras: Extras) -> list[dict[str, Any]]:
    """The answers for all images; a request in which no image can be read is refused."""
    answers = [
        failure_of(image.name, image.problem) if image.problem else _answer(image.name, next(outcomes), extras)
        for image in images
    ]
    if all(answer["error"] for answer in answers):
        raise Refusal(422, " ".join(f"{answer['file']}: {answer['error']}." for answer in answers))
    return answers


def _answer(name: str, outcome: Outcome, extras: Extras) -> dict[str, Any]:
    if isinstance(outcome, BadImage):
        return failure_of(name, f"{outcome.problem}; send an image that is whole")
    return answer_of(name, outcome, extras)


def make_app(detectors: Mapping[str, Detector], limits: Limits | None = None, token: str | None = None) -> FastAPI:
    """The web application.

    Args:
        detectors: by name; the first answers where none is named.
        limits: of requests; None for the usual ones.
        token: what clients send as ``Authorization: Bearer TOKEN``; None asks for none.
    """
    service = Service(detectors, limits or Limits())

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        service.stopping = True
        service.thread.shutdown()

    app = FastAPI(title="adbench", lifespan=life, docs_url=None, redoc_url=None)
    _guard(app, service, token)
    _predictions(app, service)
    _state(app, service)
    add_page(app)
    return app


def _guard(app: FastAPI, service: Service, token: str | None) -> None:
    def refusal(status: int, sentence: str) -> JSONResponse:
        service.refused.labels(str(status)).inc()
        return JSONResponse({"detail": sentence}, status, {"Retry-After": "1"} if status in (429, 503) else None)

    @app.middleware("http")
    async def guard(request: Request, follow: Any) -> Response:
        given = request.headers.get("authorization", "").encode("latin-1")
        if token and request.url.path not in OPEN and not hmac.compare_digest(given, f"Bearer {token}".encode()):
            response: Response = refusal(401, "a token is needed; send the header 'Authorization: Bearer TOKEN'")
        else:
            response = await follow(request)
        for name, value in SAFE.items():
            response.headers.setdefault(name, value)
        return response

    @app.exception_handler(Refusal)
    async def refuse(_: Request, error: Refusal) -> JSONResponse:
        return refusal(error.status, error.sentence)

    @app.exception_handler(AdbenchError)
    async def fail(_: Request, error: AdbenchError) -> JSONResponse:
        return refusal(500, str(error))


def _predictions(app: FastAPI, service: Service) -> None:
    @app.post("/v1/predict", openapi_extra=FORM)
    async def predict(
        request: Request, detector: str | None = None, heatmap: bool = False, explain: bool = False
    ) -> dict[str, Any]:
        """Score one image or several."""
        return await service.predict(request, detector, Extras(heatmap, explain))

    @app.get("/v1/detectors")
    def detectors() -> list[dict[str, Any]]:
        """The detectors that answer here."""
        return [about(name, batches.detector) for name, batches in service.batches.items()]


def _state(app: FastAPI, service: Service) -> None:
    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "ok"}

    @app.get("/readyz")
    async def readyz() -> dict[str, str]:
        """Whether another request would be taken."""
        if not service.has_room:
            raise Refusal(503, "the server takes no request now; try again in a second")
        return {"status": "ready"}

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Counters for Prometheus."""
        return Response(generate_latest(service.registry), media_type=CONTENT_TYPE_LATEST)
