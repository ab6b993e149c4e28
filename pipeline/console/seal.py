"""Seal: text that a browser keeps for us, which nobody but this console can read or make."""

from typing import Final

from cryptography.fernet import Fernet, InvalidToken

_LONGEST: Final = 16_384


class Seal:
    """Encrypts and signs with a key that lives as long as this process: what was sealed before is refused after."""

    def __init__(self) -> None:
        self._fernet = Fernet(Fernet.generate_key())

    def close(self, purpose: str, text: str) -> str:
        """Seal text for one purpose; the result may stand in an address or a cookie."""
        return self._fernet.encrypt(f"{purpose}\0{text}".encode()).decode()

    def open(self, purpose: str, sealed: str, *, within_s: int) -> str | None:
        """Return text that was sealed for this purpose at most `within_s` seconds ago, else None."""
        if not sealed or len(sealed) > _LONGEST:
            return None
        try:
            opened = self._fernet.decrypt(sealed.encode(), ttl=within_s).decode()
        except (InvalidToken, UnicodeError):
            return None
        said, _, text = opened.partition("\0")
        return text if said == purpose else None
