"""The receiver over HTTP: ``POST /webhooks/{provider}/{token}``, and 404 for everything else.

Answers are constant. Who sends learns whether a signature holds, and nothing about tokens, attempts or
repetitions.
"""

import asyncio
import logging
from http import HTTPStatus

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from asset_pipeline.web.receiver import Receiver

LARGEST_BODY = 32 * 2**20
"""Bytes; pictures come in bodies, as base64."""
MOST_HELD = 8 * LARGEST_BODY
"""Bytes of bodies in memory at once; beyond that senders are asked to come again."""
BODY_SECONDS = 60.0
MOST_CONNECTIONS = 512
_WORDS = {
    HTTPStatus.OK: "kept\n",
    HTTPStatus.UNAUTHORIZED: "refused\n",
    HTTPStatus.NOT_FOUND: "not found\n",
    HTTPStatus.REQUEST_TIMEOUT: "too slow\n",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too large\n",
    HTTPStatus.SERVICE_UNAVAILABLE: "try again\n",
}


def application(receiver: Receiver, *, most_held: int = MOST_HELD) -> Starlette:
    """The web app around a receiver, with at most so many bytes of bodies in memory at once."""
    memory = _Memory(most_held)

    async def webhook(request: Request) -> Response:
        provider, token = request.path_params["provider"], request.path_params["token"]
        if provider not in receiver.providers:
            return _answer(HTTPStatus.NOT_FOUND)
        body, headers = bytearray(), dict(request.headers)
        try:
            status = await memory.read(request, body)
            if status is None:
                status = await run_in_threadpool(receiver.receive, provider, token, headers, bytes(body))
        finally:
            memory.release(len(body))
        return _answer(status)

    app = Starlette(
        routes=[Route("/webhooks/{provider}/{token}", webhook, methods=["POST"])],
        exception_handlers={HTTPException: _not_found},
    )
    app.router.redirect_slashes = False
    return app


def server_for(app: Starlette, host: str, port: int) -> uvicorn.Server:
    """The server of the web app. It logs no address, as the token in it is a secret."""
    # access_log=False takes its handlers away, and others may attach theirs
    logging.getLogger("uvicorn.access").disabled = True
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=10,
        )
    )


class _Memory:
    """Reads bodies as long as there is room for them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0

    async def read(self, request: Request, body: bytearray) -> HTTPStatus | None:
        """Add a request's body to `body`, to be released afterwards; say what to answer if that failed."""
        if _announced(request) > LARGEST_BODY:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in request.stream():
                    body += chunk
                    self._held += len(chunk)
                    if len(body) > LARGEST_BODY:
                        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
                    if self._held > self._most:
                        return HTTPStatus.SERVICE_UNAVAILABLE
        except (TimeoutError, ClientDisconnect):
            return HTTPStatus.REQUEST_TIMEOUT
        return None

    def release(self, size: int) -> None:
        """Forget as many bytes."""
        self._held -= size


def _announced(request: Request) -> int:
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() else 0


def _answer(status: HTTPStatus) -> Response:
    return PlainTextResponse(_WORDS[status], status)


async def _not_found(_: Request, __: Exception) -> Response:
    return _answer(HTTPStatus.NOT_FOUND)
