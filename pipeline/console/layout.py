"""Layout: what every page has around it, and the forms that change something."""

from typing import Final
from urllib.parse import quote, urlencode

from pipeline.console.html import Html, join, tag
from pipeline.console.visits import Visit

_PAGES: Final = {"Overview": "/", "Dead letters": "/dead-letters", "Trace": "/trace", "Pause": "/pause"}
_NAME: Final = "Pipeline console"


def page(visit: Visit, title: str, *inside: object, here: str = "", refresh_s: int | None = None) -> bytes:
    """Return a whole page; `refresh_s` is for browsers that run no script."""
    links = [tag("a", name, href=path, aria_current="page" if name == here else None) for name, path in _PAGES.items()]
    leave = None if visit.is_open else form(visit, "/logout", tag("button", "Log out", class_="quiet"), class_="leave")
    noted = visit.noted()
    return document(
        title,
        tag(
            "header",
            tag("a", "Skip to content", href="#content", class_="skip"),
            tag("a", mark(), tag("span", _NAME), href="/", class_="brand"),
            tag("nav", links, aria_label="Pages"),
            leave,
        ),
        tag("p", noted, class_="noted", role="status") if noted else None,
        tag("main", *inside, id="content", tabindex=-1),
        refresh_s=refresh_s,
    )


def document(title: str, *body: object, refresh_s: int | None = None) -> bytes:
    """Return a page around its body, complete without scripts."""
    refresh = tag("noscript", tag("meta", http_equiv="refresh", content=refresh_s)) if refresh_s else None
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="robots", content="noindex"),
        refresh,
        tag("title", f"{title} · {_NAME}"),
        tag("link", rel="icon", href="/static/icon.svg", type="image/svg+xml"),
        tag("link", rel="stylesheet", href="/static/console.css"),
        tag("script", src="/static/console.js", defer=True),
    )
    return f"<!doctype html>{tag('html', head, tag('body', *body), lang='en')}".encode(errors="replace")


def form(visit: Visit, action: str, *inside: object, class_: str | None = None, **hidden: object) -> Html:
    """Return a form that changes something or looks for something that stands in no address."""
    fields = [tag("input", type="hidden", name=name, value=value) for name, value in hidden.items() if value]
    token = tag("input", type="hidden", name="token", value=visit.form_token())
    return tag("form", token, fields, *inside, action=action, method="post", class_=class_)


def address(path: str, **query: object) -> str:
    """Return an address of this console; what is empty or None is left out of its query."""
    given = {name: value for name, value in query.items() if value}
    return f"{path}?{urlencode(given)}" if given else path


def letter_path(name: str, *more: str) -> str:
    """Return the path of a dead letter, or of one of its pages."""
    return "/".join(("/dead-letters", *(quote(part, safe="") for part in name.split("/")), *more))


def field(label: str, name: str, value: object = "", **attributes: object) -> Html:
    """Return a text field with its label."""
    given = {"type": "text", "autocomplete": "off", **attributes}
    return tag("label", tag("span", label), tag("input", name=name, value=value, **given))


def choice(label: str, name: str, options: dict[str, str], chosen: str) -> Html:
    """Return a list to choose from: value → what is shown."""
    shown = [tag("option", text, value=value, selected=value == chosen) for value, text in options.items()]
    return tag("label", tag("span", label), tag("select", shown, name=name))


def code_in(text: str) -> list[object]:
    """Return text in which what stands in backticks is code."""
    return [tag("code", part) if at % 2 else part for at, part in enumerate(text.split("`"))]


def mark() -> Html:
    """Return the console's mark: many lines that become one."""
    lines = [tag("path", d=d) for d in ("M2 4h5c4 0 4 6 8 6", "M2 10h20", "M2 16h5c4 0 4-6 8-6")]
    return tag("svg", join(*lines), viewBox="0 0 24 20", class_="mark", aria_hidden="true")
