"""SOAP: login() and logout() in the partner and the enterprise form, and the calls of the partner API.

Sources: SOAP API guide; recorded replies of login.
"""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from pipeline.emulator import errors
from pipeline.emulator.auth import ORG_ID, Auth, LoginError, User
from pipeline.emulator.errors import ApiError
from pipeline.emulator.http import Call, Reply
from pipeline.emulator.limits import Limits
from pipeline.emulator.schema import Schema
from pipeline.emulator.soap_partner import Partner, fault_kind
from pipeline.emulator.xml_form import InvalidXml, Raw, element, elements, find, local, parse, text_of

# The guide's bound on a login request.
_MOST_LOGIN_BYTES = 10 * 1024
# login() is absent from the one version on (SOAP API guide); those before the other are retired.
_FIRST_WITHOUT_LOGIN, _OLDEST, _NEWEST = 65.0, 31.0, 68.0
_XML = "text/xml;charset=UTF-8"
_NAMES = {"u": "partner", "c": "enterprise"}

# Returns the user of a session and counts the call, or raises ApiError.
Admit = Callable[[str, Call], str]


class Soap:
    """Answers for /services/Soap."""

    def __init__(self, auth: Auth, limits: Limits, partner: Partner) -> None:
        self._auth = auth
        self._limits = limits
        self._partner = partner

    def answer(self, call: Call, kind: str, admit: Admit) -> Reply:
        """Answer a request; ``kind`` is ``u`` (partner) or ``c`` (enterprise), ``admit`` checks sessions and limits."""
        try:
            number = float(call.version)
        except ValueError:
            return fault("UNSUPPORTED_API_VERSION", f"Invalid Api version specified on URL: {call.version}")
        try:
            root = parse(call.raw)
        except InvalidXml as problem:
            return fault("INVALID_OPERATION", str(problem))
        body = find(root, "Body")
        asked = next(iter(body), None) if body is not None else None
        name = local(asked) if asked is not None else ""
        if asked is None or name in {"login", "logout"}:
            self._limits.note("login")
            return self._session_call(call, root, asked, kind, number)
        try:
            call.user_id = admit(text_of(find(root, "sessionId")), call)
            if not _OLDEST <= number <= _NEWEST:
                raise errors.refuse(500, "UNSUPPORTED_API_VERSION", f"Invalid Api version: {call.version}")
            if kind != "u":
                raise errors.not_covered(f"the SOAP call {name} of the enterprise API; the partner API has it")
            inside = self._partner.answer(call, root, asked)
        except ApiError as refused:
            return fault(refused.code, str(refused.body[0]["message"]), fault_kind(refused))
        return _reply(kind, element(f"{name}Response", inside), limit=self._limit())

    def _limit(self) -> Raw:
        told = {"current": self._limits.used(), "limit": self._limits.daily_limit, "type": "API REQUESTS"}
        return elements({"LimitInfoHeader": {"limitInfo": told}})

    def _session_call(self, call: Call, root: ET.Element, asked: ET.Element | None, kind: str, number: float) -> Reply:
        """Answer login() or logout()."""
        if asked is None:
            return fault("INVALID_OPERATION", "the request has no call")
        if local(asked) == "logout":
            return _logout(self._auth, root, kind)
        try:
            if len(call.raw) > _MOST_LOGIN_BYTES:
                raise LoginError("EXCEEDED_MAX_SIZE_REQUEST", "login request is larger than 10 KB")  # noqa: TRY301
            username, password = (text_of(find(asked, name)) for name in ("username", "password"))
            if not _OLDEST <= number < _FIRST_WITHOUT_LOGIN:
                message = f"login() is not available in API version {call.version}"
                raise LoginError("UNSUPPORTED_API_VERSION", message)  # noqa: TRY301
            user, token = self._auth.soap_login(username, password)
        except LoginError as refused:
            return fault(refused.code, refused.message, "LoginFault")
        service = f"{call.base_url}/services/Soap/{{}}/{call.version}/{ORG_ID[:15]}"
        return _logged_in(self._auth, self._partner.org.schema, user, token, kind, service)


def user_info(auth: Auth, user: User, schema: Schema) -> dict[str, str | bool | None]:
    """Return what login() tells about a user and the org."""
    return {
        "accessibilityMode": "false",
        "chatterExternal": "false",
        "currencySymbol": "$",
        "orgAttachmentFileSizeLimit": "5242880",
        "orgDefaultCurrencyIsoCode": "USD",
        "orgDefaultCurrencyLocale": "en_US",
        "orgDisallowHtmlAttachments": "false",
        "orgHasPersonAccounts": schema.options.person_accounts,
        "organizationId": ORG_ID,
        "organizationMultiCurrency": any("CurrencyIsoCode" in one.fields for one in schema.objects.values()),
        "organizationName": "Emulator",
        "profileId": "00eEm0000000001IAA",
        "roleId": None,
        "sessionSecondsValid": str(int(auth.session_s)),
        "userDefaultCurrencyIsoCode": None,
        "userEmail": user.username,
        "userFullName": user.username.partition("@")[0],
        "userId": user.record_id,
        "userLanguage": "en_US",
        "userLocale": "en_US",
        "userName": user.username,
        "userTimeZone": "GMT",
        "userType": "Standard",
        "userUiSkin": "Theme3",
    }


def _logged_in(  # noqa: PLR0917  (the parts of the reply, in its own order)
    auth: Auth, schema: Schema, user: User, token: str, kind: str, service: str
) -> Reply:
    """Return the reply to a login; ``service`` is the address of a SOAP service with a place for its kind."""
    result = {
        "metadataServerUrl": service.format("m"),
        "passwordExpired": user.password_expired,
        "sandbox": False,
        "serverUrl": service.format(kind),
        "sessionId": token,
        "userId": user.record_id,
        "userInfo": user_info(auth, user, schema),
    }
    return _reply(kind, element("loginResponse", {"result": result}))


def _logout(auth: Auth, root: ET.Element, kind: str) -> Reply:
    """End the session that the SessionHeader names."""
    token = text_of(find(root, "sessionId"))
    if auth.session(token) is None:
        message = "Invalid Session ID found in SessionHeader: Illegal Session. Session not found"
        return fault("INVALID_SESSION_ID", message, "UnexpectedErrorFault")
    auth.kill(token)
    return _reply(kind, "<logoutResponse/>")


def _envelope(namespaces: str, inside: str, header: str = "") -> bytes:
    head = f"<soapenv:Header>{header}</soapenv:Header>" if header else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope'
        f' xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"{namespaces}>{head}<soapenv:Body>{inside}'
        "</soapenv:Body></soapenv:Envelope>"
    ).encode()


def _reply(kind: str, inside: str, *, limit: str = "") -> Reply:
    namespaces = (
        f' xmlns="urn:{_NAMES[kind]}.soap.sforce.com" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        f' xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:sf="urn:sobject.{_NAMES[kind]}.soap.sforce.com"'
    )
    return Reply(200, _envelope(namespaces, inside, limit), content_type=_XML)


def fault(code: str, message: str, kind: str = "UnexpectedErrorFault") -> Reply:
    """Return a fault; clients look for the literal prefix ``sf:``."""
    text = escape(message)
    body = (
        f"<soapenv:Fault><faultcode>sf:{code}</faultcode><faultstring>{code}: {text}</faultstring><detail>"
        f'<sf:{kind} xsi:type="sf:{kind}"><sf:exceptionCode>{code}</sf:exceptionCode>'
        f"<sf:exceptionMessage>{text}</sf:exceptionMessage></sf:{kind}></detail></soapenv:Fault>"
    )
    namespaces = ' xmlns:sf="urn:fault.partner.soap.sforce.com" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    return Reply(500, _envelope(namespaces, body), content_type=_XML)
