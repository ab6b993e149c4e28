"""The pages before the console: the login, and the stop of who comes by a link on another site."""

from starlette.responses import HTMLResponse, Response

from pipeline.console.html import tag
from pipeline.console.layout import document, field, form, mark
from pipeline.console.visits import Visit


def login(visit: Visit, to: str, told: str, status: int) -> Response:
    """Return the page that asks for the password; `told` is why it was not good."""
    asked = form(
        visit,
        "/login",
        field("Password", "password", type="password", autocomplete="current-password", required=True, autofocus=True),
        tag("p", told, class_="bad", role="alert") if told else None,
        tag("button", "Log in"),
        to=to,
    )
    about = tag("p", "The password is the one in PIPELINE_CONSOLE_PASSWORD, where the console runs.", class_="soft")
    inside = tag("section", tag("h1", mark(), " Pipeline console"), asked, about)
    return HTMLResponse(document("Log in", tag("main", inside, class_="narrow login")), status)


def again(path: str) -> Response:
    """Return a page that leads to `path` of this console once more, now from this console itself.

    The session's cookie does not travel along a link from another site; without this, such a link asked for the
    password each time, and the new session took the place of the old one.
    """
    inside = tag("main", tag("section", tag("h1", "Opening…"), tag("p", tag("a", "Go on", href=path))), class_="narrow")
    refresh = tag("meta", http_equiv="refresh", content=f"0;url={path}")
    return HTMLResponse(document("Opening", refresh, inside))
