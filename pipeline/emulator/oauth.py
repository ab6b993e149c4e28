"""OAuth 2.0 and OpenID over HTTP: token, authorize, introspect, revoke, userinfo and the identity URL.

Sources: Salesforce Help, "OAuth Endpoints", "OAuth 2.0 Web Server Flow", "OpenID Connect Token Introspection",
"Identity URLs" with their tables of errors, and "UserInfo Endpoint".
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode

from pipeline.emulator import errors
from pipeline.emulator.auth import ORG_ID, Auth, LoginError, OAuthError, Session
from pipeline.emulator.errors import Json
from pipeline.emulator.html import tag
from pipeline.emulator.http import Reply
from pipeline.emulator.org import Org

_HTML = "text/html;charset=UTF-8"
# Parameters of an authorize request that are read; `display` and `nonce` change nothing without a page and an id_token.
_AUTHORIZE = frozenset(
    {"response_type", "client_id", "redirect_uri", "scope", "state", "login_hint", "prompt", "display", "nonce"}
    | {"code_challenge", "code_challenge_method", "username", "password"}
)
# Versions as identity URLs take them: `latest`, or a number such as 66.0.
_LATEST = "68.0"


@dataclass(frozen=True, slots=True)
class Visit:
    """One request to an address of OAuth; ``form`` is the form of a POST or the query of a GET."""

    method: str
    segments: tuple[str, ...]
    form: dict[str, str]
    headers: dict[str, str]
    host: str
    base_url: str


def visit_of(  # noqa: PLR0917  (the parts of a request, in its own order)
    method: str, segments: tuple[str, ...], query: str, headers: dict[str, str], raw: bytes, base_url: str
) -> Visit:
    """Return a request with its parameters read."""
    form = dict(parse_qsl(query, keep_blank_values=True))
    if method == "POST":
        form |= dict(parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True))
    host = headers.get("host", "").partition(":")[0].lower()
    return Visit(method, segments, form, headers, host, base_url)


class OAuth:
    """Answers for the addresses of OAuth."""

    def __init__(self, org: Org) -> None:
        self.org = org

    @property
    def auth(self) -> Auth:
        """Who may log in."""
        return self.org.auth

    def answer(self, visit: Visit) -> Reply:
        """Answer a request under /services/oauth2 or /id."""
        what = "identity" if visit.segments[0] == "id" else "/".join(visit.segments[2:])
        given = visit.form.get("format", "json")
        if given.lower() != "json":
            return Reply(*_shown(errors.not_covered(f"the format {given} of /services/oauth2/{what}")))
        if what in {"identity", "userinfo"}:
            return self._who(visit, what)
        self.org.limits.note("login")
        answers = {"token": self._token, "authorize": self._authorize}
        answers |= {"introspect": self._introspect, "revoke": self._revoke}
        answer = answers.get(what)
        if answer is None:
            return Reply(*_shown(errors.not_covered(f"/services/oauth2/{what}")))
        try:
            return answer(visit)
        except OAuthError as refused:
            status = 401 if refused.error == "invalid_client" else 400
            return Reply(status, {"error": refused.error, "error_description": refused.description})

    # Tokens.

    def _token(self, visit: Visit) -> Reply:
        if visit.method != "POST":
            raise OAuthError("invalid_request", "must use HTTP POST")
        basic = visit.headers.get("authorization")
        return Reply(200, self.org.grants.token_reply(visit.form, basic, visit.host, visit.base_url))

    def _revoke(self, visit: Visit) -> Reply:
        token = visit.form.get("token", "")
        if not token:
            raise OAuthError("invalid_request", "missing required parameter: token")
        if not self.auth.kill(token):
            raise OAuthError("invalid_token", "token was invalid")
        return Reply(200)

    def _introspect(self, visit: Visit) -> Reply:
        """Say whether a token is good, to a connected app that says who it is."""
        if visit.method != "POST":
            raise OAuthError("invalid_request", "must use HTTP POST")
        self.auth.app_of(visit.form, visit.headers.get("authorization"))
        token = visit.form.get("token", "")
        if not token:
            raise OAuthError("invalid_request", "missing required parameter: token")
        session = self.auth.look_at(token)
        if session is None:
            return Reply(200, {"active": False})
        shown: Json = {
            "active": True,
            "scope": session.scope,
            "client_id": session.client_id,
            "username": session.user.username,
            "sub": f"{visit.base_url}/id/{ORG_ID}/{session.user.record_id}",
            "token_type": session.kind,
            "iat": int(session.began_at),
            "nbf": int(session.began_at),
        }
        if session.kind == "access_token":
            shown["exp"] = int(session.expires_at)
        return Reply(200, shown)

    # The web server flow.

    def _authorize(self, visit: Visit) -> Reply:
        """Show a login page; a user who logs in there is led back to the app with a code."""
        form = visit.form
        unknown = sorted(form.keys() - _AUTHORIZE - {"format"})
        if unknown:
            return Reply(*_shown(errors.not_covered(f"the parameter {unknown[0]} of /services/oauth2/authorize")))
        app = self.auth.apps.get(form.get("client_id", ""))
        if app is None:
            raise OAuthError("invalid_client_id", "client identifier invalid")
        redirect = form.get("redirect_uri", "")
        if redirect not in app.callbacks:
            raise OAuthError("redirect_uri_mismatch", "redirect_uri must match configuration")
        if form.get("response_type") != "code":
            return _led_back(
                redirect, form, error="unsupported_response_type", error_description="only code is covered"
            )
        try:
            self.org.grants.scope_of(form.get("scope"))
            if form.get("code_challenge") and form.get("code_challenge_method", "S256") != "S256":
                raise OAuthError("invalid_request", "code_challenge_method must be S256")  # noqa: TRY301
        except OAuthError as refused:
            return _led_back(redirect, form, error=refused.error, error_description=refused.description)
        if "username" not in form:
            return _login_page(form, "")
        try:
            user = self.auth.web_login(form["username"], form.get("password", ""))
        except LoginError as refused:
            return _login_page(form, refused.message)
        return _led_back(redirect, form, code=self.org.grants.keep_code(app, user, form))

    # Who a token belongs to.

    def _who(self, visit: Visit, what: str) -> Reply:
        token = visit.headers.get("authorization", "").partition(" ")[2].strip()
        token = token or visit.form.get("access_token") or visit.form.get("oauth_token", "")
        if not token:
            return Reply(403, b"Missing_OAuth_Token", content_type=_HTML)
        session = self.auth.session(token)
        if session is None:
            return Reply(403, b"Bad_OAuth_Token", content_type=_HTML)
        if what == "userinfo":
            return Reply(200, self._userinfo(session, visit.base_url))
        return self._identity_reply(visit, session)

    def _identity_reply(self, visit: Visit, session: Session) -> Reply:
        if "callback" in visit.form:
            return Reply(*_shown(errors.not_covered("the parameter callback of an identity URL")))
        org_id, user_id = (*visit.segments[1:], "", "")[:2]
        if org_id not in {ORG_ID, ORG_ID[:15]}:
            return Reply(403, b"Wrong_Org", content_type=_HTML)
        if user_id not in {session.user.record_id, session.user.record_id[:15]}:
            return Reply(404, b"Bad_Id", content_type=_HTML)
        version = visit.form.get("version", "")
        if version and version != "latest" and not version.replace(".", "", 1).isdigit():
            return Reply(406, b"Invalid_Version", content_type=_HTML)
        return Reply(200, self._identity(session, visit.base_url, _LATEST if version == "latest" else version))

    def _userinfo(self, session: Session, base_url: str) -> Json:
        user, person = session.user, self._person(session)
        return {
            "sub": f"{base_url}/id/{ORG_ID}/{user.record_id}",
            "user_id": user.record_id,
            "organization_id": ORG_ID,
            "preferred_username": user.username,
            "nickname": person["CommunityNickname"],
            "name": person["Name"],
            "email": person["Email"],
            "email_verified": True,
            "given_name": person["FirstName"],
            "family_name": person["LastName"],
            "zoneinfo": person["TimeZoneSidKey"],
            "photos": _photos(base_url),
            "profile": f"{base_url}/{user.record_id}",
            "picture": _photos(base_url)["picture"],
            "address": {"country": person["Country"]},
            "urls": _urls(base_url, user.record_id, ""),
            "active": user.is_active,
            "user_type": "STANDARD",
            "language": person["LanguageLocaleKey"],
            "locale": person["LocaleSidKey"],
            "utcOffset": 0,
            "updated_at": person["LastModifiedDate"],
            "is_app_installed": True,
        }

    def _identity(self, session: Session, base_url: str, version: str) -> Json:
        user, person = session.user, self._person(session)
        return {
            "id": f"{base_url}/id/{ORG_ID}/{user.record_id}",
            "asserted_user": True,
            "user_id": user.record_id,
            "organization_id": ORG_ID,
            "username": user.username,
            "nick_name": person["CommunityNickname"],
            "display_name": person["Name"],
            "email": person["Email"],
            "email_verified": True,
            "first_name": person["FirstName"],
            "last_name": person["LastName"],
            "timezone": person["TimeZoneSidKey"],
            "photos": _photos(base_url),
            "addr_street": person["Street"],
            "addr_city": person["City"],
            "addr_state": person["State"],
            "addr_country": person["Country"],
            "addr_zip": person["PostalCode"],
            "mobile_phone": person["MobilePhone"],
            "mobile_phone_verified": False,
            "is_lightning_login_user": False,
            "status": {"created_date": None, "body": None},
            "urls": _urls(base_url, user.record_id, version),
            "active": user.is_active,
            "user_type": "STANDARD",
            "language": person["LanguageLocaleKey"],
            "locale": person["LocaleSidKey"],
            "utcOffset": 0,
            "last_modified_date": person["LastModifiedDate"],
            "is_app_installed": True,
        }

    def _person(self, session: Session) -> Json:
        """Return the user's record."""
        return self.org.read(self.org.schema.objects["User"], session.user.record_id, "") or {}


def _shown(refused: errors.ApiError) -> tuple[int, list[Json]]:
    return refused.status, refused.body


def _photos(base_url: str) -> dict[str, str]:
    return {"picture": f"{base_url}/profilephoto/005/F", "thumbnail": f"{base_url}/profilephoto/005/T"}


def _urls(base_url: str, user_id: str, version: str) -> dict[str, str]:
    """Return the addresses of the org's APIs; without a version clients fill ``{version}`` in themselves."""
    number = version or "{version}"
    rest, soap = f"{base_url}/services/data/v{number}/", f"{base_url}/services/Soap"
    return {
        "enterprise": f"{soap}/c/{number}/{ORG_ID[:15]}",
        "metadata": f"{soap}/m/{number}/{ORG_ID[:15]}",
        "partner": f"{soap}/u/{number}/{ORG_ID[:15]}",
        "rest": rest,
        "sobjects": f"{rest}sobjects/",
        "search": f"{rest}search/",
        "query": f"{rest}query/",
        "recent": f"{rest}recent/",
        "tooling_soap": f"{soap}/T/{number}/{ORG_ID[:15]}",
        "tooling_rest": f"{rest}tooling/",
        "profile": f"{base_url}/{user_id}",
        "feeds": f"{rest}chatter/feeds",
        "groups": f"{rest}chatter/groups",
        "users": f"{rest}chatter/users",
        "feed_items": f"{rest}chatter/feed-items",
        "feed_elements": f"{rest}chatter/feed-elements",
        "custom_domain": base_url,
    }


def _led_back(redirect: str, form: dict[str, str], **told: str) -> Reply:
    """Lead the browser back to the app with a code, or with what is wrong."""
    if "state" in form:
        told["state"] = form["state"]
    mark = "&" if "?" in redirect else "?"
    return Reply(302, headers={"Location": f"{redirect}{mark}{urlencode(told, quote_via=quote)}"})


def _login_page(form: dict[str, str], problem: str) -> Reply:
    """Return a page that asks for username and password and sends them to the address it was shown at."""
    username = form.get("username") or form.get("login_hint", "")
    asked = tag(
        "form",
        tag("label", "Username ", tag("input", name="username", value=username)),
        tag("label", "Password ", tag("input", name="password", type="password")),
        tag("button", "Log in"),
        method="post",
    )
    page = "<!DOCTYPE html>" + tag(
        "html", tag("title", "Login"), tag("h1", "Login"), tag("p", problem), asked, lang="en"
    )
    headers = {"Content-Security-Policy": "default-src 'none'", "Cache-Control": "no-store"}
    return Reply(200, f"<!DOCTYPE html>{page}".encode(), headers, _HTML)
