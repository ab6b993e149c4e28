"""Logging in to an org: three ways, by what the operator has configured, and what a refusal asks of the operator."""

import warnings
from typing import Any, Final

import jwt
import requests
from simple_salesforce.exceptions import SalesforceAuthenticationFailed
from simple_salesforce.login import SalesforceLogin
from urllib3.exceptions import HTTPError

from pipeline.errors import ConfigurationError
from pipeline.salesforce.credentials import Credentials
from pipeline.salesforce.errors import ErrorDetail, LoginRefused, SalesforceError, Unavailable
from pipeline.salesforce.transport import Transport, no_answer

# SOAP's login() does not exist from 65.0 on (SOAP API guide), whatever version the rest of the API is spoken in.
SOAP_LOGIN_VERSION: Final = "64.0"

_EVERYBODYS_DOMAINS = frozenset({"login", "test"})
_ANY_DOMAIN = "emulator.my"

# Codes that say "not now" instead of "not you" (SOAP API guide "ExceptionCode"; OAuth error unknown_error).
_PASSING = frozenset({"SERVER_UNAVAILABLE", "API_CURRENTLY_DISABLED", "UNKNOWN_EXCEPTION", "unknown_error"})

_CHECK_USER = "check SALESFORCE_USERNAME, SALESFORCE_PASSWORD and SALESFORCE_SECURITY_TOKEN"
_ADVICE: Final = {
    # SOAP login
    "INVALID_LOGIN": f"{_CHECK_USER}, and SALESFORCE_DOMAIN (test for a sandbox); the user may also be locked out: "
    "look at its login history in Setup",
    "LOGIN_MUST_USE_SECURITY_TOKEN": "set SALESFORCE_SECURITY_TOKEN (My Settings > Reset My Security Token mails a new "
    "one; a changed password changes it as well), or trust this machine's address in the user's profile",
    "INVALID_OPERATION_WITH_EXPIRED_PASSWORD": "the password has expired: set a new one in Salesforce, then "
    "SALESFORCE_PASSWORD and SALESFORCE_SECURITY_TOKEN; a user whose password never expires avoids this",
    "PASSWORD_LOCKOUT": "the user is locked out after too many attempts: unlock it in Setup > Users, or wait until the "
    "lockout ends, and correct SALESFORCE_PASSWORD first",
    "LOGIN_CHALLENGE_ISSUED": "Salesforce wants this login confirmed: trust this machine's address in the user's "
    "profile, or log in with SALESFORCE_CONSUMER_KEY and SALESFORCE_CONSUMER_SECRET",
    "LOGIN_CHALLENGE_PENDING": "Salesforce waits for this login to be confirmed: trust this machine's address in the "
    "user's profile, or log in with SALESFORCE_CONSUMER_KEY and SALESFORCE_CONSUMER_SECRET",
    "LOGIN_DURING_RESTRICTED_DOMAIN": "the user's profile does not allow logins from this machine's address: add it "
    "there",
    "LOGIN_DURING_RESTRICTED_TIME": "the user's profile does not allow logins at this hour: widen its login hours",
    "LOGIN_RATE_EXCEEDED": "too many logins of this user within the hour: find what else logs in as this user, then "
    "wait an hour",
    "ORG_LOCKED": "the org is locked: ask Salesforce",
    "TRIAL_EXPIRED": "the trial of this org has ended: ask Salesforce",
    "API_DISABLED_FOR_ORG": "the edition has no API, or the user lacks the permission API Enabled",
    "UNSUPPORTED_API_VERSION": "this org has no SOAP login any more: create an External Client App with the client "
    "credentials flow and set SALESFORCE_CONSUMER_KEY, SALESFORCE_CONSUMER_SECRET and SALESFORCE_DOMAIN",
    "INVALID_OPERATION": "SOAP login is switched off in this org: switch it on in Setup > User Interface, or better "
    "set SALESFORCE_CONSUMER_KEY, SALESFORCE_CONSUMER_SECRET and SALESFORCE_DOMAIN of an External Client App",
    # OAuth
    "invalid_client_id": "check SALESFORCE_CONSUMER_KEY; a new app takes up to 10 minutes to be known",
    "invalid_client": "check SALESFORCE_CONSUMER_KEY and SALESFORCE_CONSUMER_SECRET",
    "app_not_found": "check SALESFORCE_CONSUMER_KEY, and that SALESFORCE_DOMAIN is the org's My Domain",
    "invalid_grant": "check the app: the client credentials flow enabled with a user to run as, or the JWT's user "
    "approved in advance; SALESFORCE_DOMAIN has to be the org's My Domain, and a JWT's user active",
    "invalid_app_access": "approve the app for the user in advance: Setup > the app > Policies > Permitted Users",
    "unsupported_grant_type": "enable the flow (client credentials or JWT bearer) in the app's settings",
    "invalid_request": "the domain does not speak this OAuth flow: check SALESFORCE_DOMAIN",
    "inactive_user": "the app's user is not active: activate it or name another",
    "inactive_org": "the org is not active: ask Salesforce",
    "rate_limit_exceeded": "too many logins within the hour: find what else logs in with this app, then wait",
}
_OTHERWISE = "look up this code in Setup > Login History, and check the SALESFORCE_ variables"


def log_in(credentials: Credentials, transport: Transport, *, any_domain: bool = False) -> tuple[str, str]:
    """Log in and return (session id, instance URL). Costs no API call, but logins are limited to 3,600 an hour.

    By consumer key and private key file (JWT bearer, with the username), else consumer key and secret (client
    credentials), else username and password (SOAP). `any_domain`: the host does not matter, as an emulator answers.

    Raises ConfigurationError where the credentials are incomplete, LoginRefused where Salesforce says no, Unavailable
    and NoAnswer where it cannot say.
    """
    chosen = _arguments(credentials, any_domain=any_domain)
    seen: list[requests.Response] = []
    with transport.session() as session, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # simple-salesforce warns with the consumer key in the text
        session.max_redirects = 0  # following one would send the secrets on, as a GET
        session.hooks["response"].append(lambda response, **_: seen.append(response))
        try:
            session_id, host = SalesforceLogin(session=session, **chosen)
        except SalesforceAuthenticationFailed as error:
            raise _refusal(error, seen) from None
        except (requests.RequestException, HTTPError) as error:
            raise no_answer(error) from None
        except (jwt.PyJWTError, ValueError, OSError, TypeError) as error:
            raise _unreadable(error, credentials, seen) from None
        except AttributeError:
            # What simple-salesforce does with JSON that is no OAuth answer.
            raise Unavailable(seen[-1].status_code if seen else 0) from None
    if seen and b"<passwordExpired>true<" in seen[-1].content:
        # Such a session can do nothing but set a new password (SOAP API guide, "login()").
        raise refused("INVALID_OPERATION_WITH_EXPIRED_PASSWORD")
    return session_id, f"https://{host}"


def refused(code: str, *, detail: str = "", tried_again_in_s: float = 0.0) -> LoginRefused:
    """Build the error for a code of Salesforce's, with what the operator has to do about it."""
    return LoginRefused(code, _ADVICE.get(code, _OTHERWISE), detail=detail, tried_again_in_s=tried_again_in_s)


def check_credentials(credentials: Credentials) -> None:
    """Raise ConfigurationError, saying what to set, unless the credentials are complete for one of the three ways."""
    _arguments(credentials, any_domain=False)


def _arguments(credentials: Credentials, *, any_domain: bool) -> dict[str, Any]:
    """Choose the way to log in, as arguments of SalesforceLogin."""
    domain = _domain(credentials.domain)
    if credentials.consumer_key and credentials.private_key_file:
        if not credentials.username:
            raise ConfigurationError("SALESFORCE_PRIVATE_KEY_FILE needs SALESFORCE_USERNAME: the user to act as")
        return {
            "username": credentials.username,
            "consumer_key": credentials.consumer_key,
            "privatekey_file": credentials.private_key_file,
            "domain": domain,
        }
    if credentials.consumer_key and credentials.consumer_secret:
        if any_domain and domain in _EVERYBODYS_DOMAINS:
            domain = _ANY_DOMAIN
        if domain in _EVERYBODYS_DOMAINS:
            raise ConfigurationError(
                "the client credentials flow needs SALESFORCE_DOMAIN: the org's My Domain, as acme.my or "
                "acme--dev.sandbox.my (Setup > My Domain)"
            )
        return {
            "consumer_key": credentials.consumer_key,
            "consumer_secret": credentials.consumer_secret,
            "domain": domain,
        }
    if credentials.username and credentials.password:
        return {
            "username": credentials.username,
            "password": credentials.password,
            "security_token": credentials.security_token or "",
            "domain": domain,
            "sf_version": SOAP_LOGIN_VERSION,
            "client_id": None,
        }
    raise ConfigurationError(
        "no Salesforce credentials: set SALESFORCE_CONSUMER_KEY, SALESFORCE_CONSUMER_SECRET and SALESFORCE_DOMAIN of "
        "an External Client App (or SALESFORCE_CONSUMER_KEY, SALESFORCE_PRIVATE_KEY_FILE and SALESFORCE_USERNAME; in "
        "older orgs SALESFORCE_USERNAME, SALESFORCE_PASSWORD and SALESFORCE_SECURITY_TOKEN)"
    )


def _domain(given: str | None) -> str:
    """Take the domain out of what operators write: acme.my, acme.my.salesforce.com, https://acme.my.salesforce.com/."""
    host = (given or "login").strip().lower().removeprefix("https://").partition("/")[0]
    return host.removesuffix(".salesforce.com") or "login"


def _refusal(error: SalesforceAuthenticationFailed, seen: list[requests.Response]) -> SalesforceError:
    """Tell "not you" from "not now": a web page or a 5xx without a reason is not about the credentials."""
    status = seen[-1].status_code if seen else 0
    if not isinstance(error.code, str) or not error.code or error.code in _PASSING:
        details = (ErrorDetail(error.code),) if isinstance(error.code, str) and error.code else ()
        return Unavailable(status, details)
    code = error.code.rpartition(":")[2]  # older orgs prefix it, as sf:INVALID_LOGIN
    detail = error.auth_message
    if code == "INVALID_LOGIN" and "Login Rate Exceeded" in detail:
        code = "LOGIN_RATE_EXCEEDED"
    return refused(code, detail=detail)


def _unreadable(error: Exception, credentials: Credentials, seen: list[requests.Response]) -> Exception:
    """Tell a private key that cannot be used from a fault that is none of the operator's."""
    if seen or not credentials.private_key_file:
        return error
    return ConfigurationError(
        f"SALESFORCE_PRIVATE_KEY_FILE cannot be used ({type(error).__name__}): it has to be the RSA private key, in "
        "PEM without a passphrase, of the certificate uploaded to the app"
    )
