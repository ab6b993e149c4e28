"""SOAP login() and logout(), in the partner and the enterprise form (SOAP API guide; recorded replies of login)."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from pipeline.emulator.auth import ORG_ID, Auth, LoginError, User
from pipeline.emulator.http import Reply

# The guide's bound on a login request; it also bounds what an XML parser can be made to do.
_MOST_BYTES = 10 * 1024
# login() is absent from the one version on (SOAP API guide); those before the other are retired.
_FIRST_WITHOUT_LOGIN, _OLDEST = 65.0, 31.0
_XML = "text/xml;charset=UTF-8"
_ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope'
    ' xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"{namespaces}><soapenv:Body>{body}'
    "</soapenv:Body></soapenv:Envelope>"
)


def answer(auth: Auth, raw: bytes, kind: str, version: str, base_url: str) -> Reply:
    """Answer a SOAP request; ``kind`` is ``u`` (partner) or ``c`` (enterprise)."""
    try:
        number = float(version)
    except ValueError:
        return fault("UNSUPPORTED_API_VERSION", f"Invalid Api version specified on URL: {version}")
    try:
        root = _parse(raw)
        if _find(root, "logout") is not None:
            return _logout(auth, root, kind)
        username, password = _credentials(root)
        if number < _OLDEST or number >= _FIRST_WITHOUT_LOGIN:
            return fault("UNSUPPORTED_API_VERSION", f"login() is not available in API version {version}")
        user, token = auth.soap_login(username, password)
    except LoginError as refused:
        return fault(refused.code, refused.message)
    return _logged_in(auth, user, token, kind, f"{base_url}/services/Soap/{{}}/{version}/{ORG_ID[:15]}")


def _logged_in(auth: Auth, user: User, token: str, kind: str, service: str) -> Reply:
    """Return the reply to a login; ``service`` is the address of a SOAP service with a place for its kind."""
    info = {
        "accessibilityMode": "false",
        "chatterExternal": "false",
        "currencySymbol": "$",
        "orgAttachmentFileSizeLimit": "5242880",
        "orgDefaultCurrencyIsoCode": "USD",
        "orgDefaultCurrencyLocale": "en_US",
        "orgDisallowHtmlAttachments": "false",
        "orgHasPersonAccounts": "false",
        "organizationId": ORG_ID,
        "organizationMultiCurrency": "false",
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
    result = {
        "metadataServerUrl": service.format("m"),
        "passwordExpired": "true" if user.password_expired else "false",
        "sandbox": "false",
        "serverUrl": service.format(kind),
        "sessionId": token,
        "userId": user.record_id,
    }
    body = f"<loginResponse><result>{_elements(result)}<userInfo>{_elements(info)}</userInfo></result></loginResponse>"
    return _reply(kind, body)


def _reply(kind: str, body: str) -> Reply:
    namespace = "partner" if kind == "u" else "enterprise"
    namespaces = f' xmlns="urn:{namespace}.soap.sforce.com" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    return Reply(200, _ENVELOPE.format(namespaces=namespaces, body=body).encode(), content_type=_XML)


def _logout(auth: Auth, root: ET.Element, kind: str) -> Reply:
    """End the session that the SessionHeader names."""
    element = _find(root, "sessionId")
    token = (element.text or "") if element is not None else ""
    if auth.session(token) is None:
        message = "Invalid Session ID found in SessionHeader: Illegal Session. Session not found"
        return fault("INVALID_SESSION_ID", message, "UnexpectedErrorFault")
    auth.kill(token)
    return _reply(kind, "<logoutResponse/>")


def _parse(raw: bytes) -> ET.Element:
    """Return the request's XML; raise LoginError for anything that is none."""
    if len(raw) > _MOST_BYTES:
        raise LoginError("EXCEEDED_MAX_SIZE_REQUEST", "login request is larger than 10 KB")
    if b"<!DOCTYPE" in raw or b"<!ENTITY" in raw:
        raise LoginError("INVALID_OPERATION", "a document type is not allowed")
    try:
        return ET.fromstring(raw)  # noqa: S314 - without a document type there are no entities to expand
    except ET.ParseError as problem:
        raise LoginError("INVALID_OPERATION", f"the request is no XML: {problem}") from None


def _find(root: ET.Element, name: str) -> ET.Element | None:
    """Return the first element of a name, whatever its namespace."""
    return next((element for element in root.iter() if element.tag.rpartition("}")[2] == name), None)


def _credentials(root: ET.Element) -> tuple[str, str]:
    """Return username and password of a login call; raise LoginError for any other call."""
    login = _find(root, "login")
    if login is None:
        raise LoginError("INVALID_OPERATION", "only login() and logout() are available here")
    given = {child.tag.rpartition("}")[2]: child.text or "" for child in login}
    return given.get("username", ""), given.get("password", "")


def _elements(values: Mapping[str, str | None]) -> str:
    return "".join(
        f'<{name} xsi:nil="true"/>' if value is None else f"<{name}>{escape(value)}</{name}>"
        for name, value in values.items()
    )


def fault(code: str, message: str, kind: str = "LoginFault") -> Reply:
    """Return a fault; clients look for the literal prefix ``sf:``."""
    text = escape(message)
    body = (
        f"<soapenv:Fault><faultcode>sf:{code}</faultcode><faultstring>{code}: {text}</faultstring><detail>"
        f'<sf:{kind} xsi:type="sf:{kind}"><sf:exceptionCode>{code}</sf:exceptionCode>'
        f"<sf:exceptionMessage>{text}</sf:exceptionMessage></sf:{kind}></detail></soapenv:Fault>"
    )
    namespaces = ' xmlns:sf="urn:fault.partner.soap.sforce.com" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    return Reply(500, _ENVELOPE.format(namespaces=namespaces, body=body).encode(), content_type=_XML)
