"""Who the pipeline is to Salesforce. Apart from everything else, so that reading settings imports nothing heavy."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What the operator put into the environment, as SALESFORCE_USERNAME and so on. None or "": not given."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    security_token: str | None = field(default=None, repr=False)
    domain: str | None = None  # "login", "test" or the My Domain, as "acme.my" or "acme--dev.sandbox.my"
    consumer_key: str | None = field(default=None, repr=False)
    consumer_secret: str | None = field(default=None, repr=False)
    private_key_file: str | None = None
