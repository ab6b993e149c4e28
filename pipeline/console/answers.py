"""Answers: what a page returns, before it becomes HTTP."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeAlias

from starlette.responses import HTMLResponse, RedirectResponse, Response

from pipeline.console.html import tag
from pipeline.console.layout import document
from pipeline.console.visits import Visit


@dataclass(frozen=True, slots=True)
class Answer:
    """A body, or the address of the page to go to next."""

    body: bytes = b""
    status: int = HTTPStatus.OK
    media_type: str = "text/html"
    to: str | None = None

    def response(self) -> Response:
        """Return it as HTTP."""
        if self.to is not None:
            return RedirectResponse(self.to, HTTPStatus.SEE_OTHER)
        return Response(self.body, self.status, media_type=self.media_type)


Page: TypeAlias = Callable[[Visit], Answer]


def error_page(title: str, told: str, status: HTTPStatus) -> Response:
    """Return a page that says what is wrong and leads back."""
    inside = (tag("h1", title), tag("p", told), tag("p", tag("a", "Overview", href="/")))
    return HTMLResponse(document(title, tag("main", tag("section", *inside), class_="narrow")), status)
