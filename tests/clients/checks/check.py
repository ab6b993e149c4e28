"""What every check of a Python client shares; it runs with the client's own interpreter."""

import contextlib
import os
import sys

# Where the org is by itself; login.salesforce.com is the org as well, by the proxy that the environment names.
URL = os.environ["EMULATOR_URL"]
TOKEN = os.environ["EMULATOR_TOKEN"]
REFRESH_TOKEN = os.environ["EMULATOR_REFRESH_TOKEN"]
INSTANCE = "https://emulator.my.salesforce.com"
KEY, SECRET = "key", "secret"
USER, PASSWORD, SECURITY_TOKEN = "admin@example.com", "password", "token"


@contextlib.contextmanager
def works(what):
    """Print that something works, or why it does not, and go on either way."""
    try:
        yield
    except Exception as problem:
        sys.stdout.write(f"fails: {what}: {type(problem).__name__}: {problem}\n")
    else:
        sys.stdout.write(f"works: {what}\n")
    sys.stdout.flush()
