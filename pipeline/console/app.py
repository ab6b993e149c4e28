"""The application: who may see what, before any page is made. Every request passes `Console.answer`."""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from importlib import resources
from typing import Final
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from pipeline.console import doors, letters, overview_page, pauses, trace
from pipeline.console.access import Access, Throttle
from pipeline.console.answers import Answer, Page, error_page
from pipeline.console.seal import Seal
from pipeline.console.visits import SESSION_S, Session, Sessions, Visit
from pipeline.errors import PipelineError
from pipeline.redis_faults import in_words
from pipeline.tasks.runtime import Runtime

log = logging.getLogger(__name__)

_LARGEST_FORM: Final = 64 * 1024
_STATIC: Final = {"console.css": "text/css", "console.js": "text/javascript", "icon.svg": "image/svg+xml"}
_HEADERS: Final = {
    "Cache-Control": "no-store",
    # No script and no style stands in a page, and nothing comes from elsewhere.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Nothing is told to other sites; to this one browsers have to name the Origin of a form.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Console:
    """The pages and the rules before them. One for each process: its sessions end with it."""

    def __init__(self, runtime: Runtime, access: Access) -> None:
        self._runtime = runtime
        self._access = access
        self._seal = Seal()
        self._sessions = Sessions(self._seal)
        self._throttle = Throttle()
        self._cookie = "__Host-pipeline-console" if access.is_secure else "pipeline-console"

    def application(self) -> Starlette:
        """Return the ASGI application."""
        gets: dict[str, Page] = {**overview_page.GETS, **letters.GETS, **pauses.GETS, **trace.GETS}
        posts: dict[str, Page] = {**letters.POSTS, **pauses.POSTS, **trace.POSTS}
        routes = [
            Route("/health", self._guarded(_health), methods=["GET"]),
            Route("/static/{name}", self._guarded(_static), methods=["GET"]),
            Route("/login", self._guarded(self._login), methods=["GET", "POST"]),
            Route("/logout", self._guarded(self._logout), methods=["POST"]),
            *(Route(path, self._guarded(self._looks(one)), methods=["GET"]) for path, one in gets.items()),
            *(Route(path, self._guarded(self._acts(one)), methods=["POST"]) for path, one in posts.items()),
        ]
        missing = self._guarded(_missing)
        return Starlette(routes=routes, exception_handlers={404: _as_handler(missing), 405: _as_handler(missing)})

    # What every request passes.

    def _guarded(self, endpoint: "Endpoint") -> "Endpoint":
        """Refuse foreign names, answer faults by a page that quotes nothing, set the headers of all answers."""

        async def answer(request: Request) -> Response:
            try:
                response = await self._named(request, endpoint)
            except PipelineError as error:
                response = error_page("That did not work", str(error), HTTPStatus.BAD_REQUEST)
            except Exception as error:  # noqa: BLE001  (a traceback may quote an event)
                response = _faulted(error)
            response.headers.update(_HEADERS)
            if self._access.is_secure:
                response.headers["Strict-Transport-Security"] = "max-age=31536000"
            return response

        return answer

    async def _named(self, request: Request, endpoint: "Endpoint") -> Response:
        if self._access.is_own_name(request.headers.get("host", "")):
            return await endpoint(request)
        told = "This console is at localhost, at 127.0.0.1, or at the address given to --url.\n"
        return PlainTextResponse(told, HTTPStatus.MISDIRECTED_REQUEST)

    def _looks(self, page: Page) -> "Endpoint":
        """Show a page to who may see it, and the way to the login to everybody else."""

        async def answer(request: Request) -> Response:
            session = self._session(request)
            if session is not None and session.is_in:
                return (await self._page(page, request, session, {})).response()
            if self._access.password is None:
                session, cookie = self._sessions.begin(is_in=True)
                response = (await self._page(page, request, session, {})).response()
                self._keep(response, cookie)
                return response
            if request.headers.get("sec-fetch-mode") == "cors":  # a script that reads figures
                return PlainTextResponse("log in\n", HTTPStatus.UNAUTHORIZED)
            path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            if _comes_from_elsewhere(request):
                return doors.again(path)
            return RedirectResponse(f"/login?to={self._seal.close('to', path)}", HTTPStatus.SEE_OTHER)

        return answer

    def _acts(self, page: Page) -> "Endpoint":
        """Do what a form of this console asks for, sent by the browser that it was made for."""

        async def answer(request: Request) -> Response:
            session = self._session(request)
            form = await _form(request)
            if session is None or not session.is_in or not self._is_own(request, session, form):
                return error_page(
                    "This form is no longer good",
                    "It was made before you logged in, or not by this console. Open the page again and repeat.",
                    HTTPStatus.FORBIDDEN,
                )
            return (await self._page(page, request, session, form)).response()

        return answer

    async def _page(self, page: Page, request: Request, session: Session, form: Mapping[str, str]) -> Answer:
        visit = self._visit(request, session, form)
        return await run_in_threadpool(page, visit)  # pages wait for Redis

    def _visit(self, request: Request, session: Session, form: Mapping[str, str]) -> Visit:
        return Visit(
            runtime=self._runtime,
            seal=self._seal,
            session=session,
            is_open=self._access.password is None,
            path=request.path_params,
            query=dict(request.query_params),
            form=form,
        )

    def _session(self, request: Request) -> Session | None:
        return self._sessions.read(request.cookies.get(self._cookie, ""))

    def _is_own(self, request: Request, session: Session, form: Mapping[str, str]) -> bool:
        headers = request.headers
        is_own_page = self._access.is_own_origin(headers.get("origin", ""), headers.get("host", ""))
        return is_own_page and self._visit(request, session, form).is_own_form()

    def _keep(self, response: Response, cookie: str) -> None:
        response.set_cookie(
            self._cookie,
            cookie,
            max_age=SESSION_S,
            path="/",
            httponly=True,
            samesite="strict",
            secure=self._access.is_secure,
        )

    # The door.

    async def _login(self, request: Request) -> Response:
        if self._access.password is None:
            return RedirectResponse("/", HTTPStatus.SEE_OTHER)
        session = self._session(request)
        if request.method == "POST":
            return await self._try(request, session)
        if session is not None and session.is_in:
            return RedirectResponse("/", HTTPStatus.SEE_OTHER)
        if session is None and _comes_from_elsewhere(request):
            return doors.again("/login")
        return self._ask(request, session, request.query_params.get("to", ""))

    def _ask(self, request: Request, session: Session | None, to: str, told: str = "", status: int = 200) -> Response:
        """Show the login page, in a session that is nobody's yet."""
        cookie = None
        if session is None:
            session, cookie = self._sessions.begin(is_in=False)
        response = doors.login(self._visit(request, session, {}), to, told, status)
        if cookie is not None:
            self._keep(response, cookie)
        return response

    async def _try(self, request: Request, session: Session | None) -> Response:
        form, client = await _form(request), request.client.host if request.client else ""
        to = form.get("to", "")
        if session is None or not self._is_own(request, session, form):
            return self._ask(request, None, to, "That page was too old. Try again.", HTTPStatus.FORBIDDEN)
        now_s = time.monotonic()
        wait_s = self._throttle.wait_s(client, now_s)
        if wait_s > 0:
            told = f"Too many wrong passwords. Try again in {wait_s:.0f} s."
            response = self._ask(request, session, to, told, HTTPStatus.TOO_MANY_REQUESTS)
            response.headers["Retry-After"] = f"{wait_s + 0.5:.0f}"
            return response
        if not self._access.is_right(form.get("password", "")):
            log.warning("console did=refuse_login in_a_row=%d", self._throttle.fail(client, now_s))
            return self._ask(request, session, to, "That is not the password.", HTTPStatus.UNAUTHORIZED)
        self._throttle.succeed(client)
        self._sessions.end(session, now_s)  # what was known of it before counts no more
        _, cookie = self._sessions.begin(is_in=True)
        # Only a path that this console has sealed is gone to.
        path = self._seal.open("to", to, within_s=SESSION_S) or "/"
        response = RedirectResponse(path, HTTPStatus.SEE_OTHER)
        self._keep(response, cookie)
        return response

    async def _logout(self, request: Request) -> Response:
        session, form = self._session(request), await _form(request)
        if session is not None and self._is_own(request, session, form):
            self._sessions.end(session, time.monotonic())
        response = RedirectResponse("/login", HTTPStatus.SEE_OTHER)
        response.delete_cookie(self._cookie, path="/", secure=self._access.is_secure, httponly=True, samesite="strict")
        return response


Endpoint = Callable[[Request], Awaitable[Response]]


async def _health(_: Request) -> Response:
    return PlainTextResponse("ok\n")


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _STATIC:
        return await _missing(request)
    return Response((resources.files(__package__) / name).read_bytes(), media_type=_STATIC[name])


async def _missing(_: Request) -> Response:
    return error_page("There is no such page", "Go back, or begin with the overview.", HTTPStatus.NOT_FOUND)


def _as_handler(endpoint: Endpoint) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handle(request: Request, _: Exception) -> Response:
        return await endpoint(request)

    return handle


def _comes_from_elsewhere(request: Request) -> bool:
    """Whether a link on another site led here: browsers then send no cookie of ours, and none must be replaced."""
    return request.headers.get("sec-fetch-site") == "cross-site"


async def _form(request: Request) -> dict[str, str]:
    """Read a form's fields. Raises PipelineError for more than any form of ours holds."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST_FORM:
            raise PipelineError("the form holds more than 64 kB, which no form of this console does")
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100))
    except ValueError:
        raise PipelineError("the form cannot be read") from None


def _faulted(error: Exception) -> Response:
    """Say of a fault what it means; of our own its kind alone."""
    from kombu.exceptions import OperationalError
    from redis.exceptions import RedisError

    if isinstance(error, RedisError | OperationalError | OSError):
        said = in_words(error)
        log.error("console: %s", said)
        told = f"{said}. Workers and producers wait for it too; load the page again."
        return error_page("No figures now", told, HTTPStatus.SERVICE_UNAVAILABLE)
    kind = type(error).__name__
    log.error("console: a page failed: %s", kind)
    told = f"The console failed on it ({kind}). The pipeline itself goes on."
    return error_page("This page has a fault", told, HTTPStatus.INTERNAL_SERVER_ERROR)
