"""How people and brands are reached: e-mail addresses and telephone numbers in the one form that is stored.

Messages never repeat what was given.
"""

import re

EMAIL_LENGTH_MAXIMUM = 254

# The characters of RFC 5322's atoms; quoted local parts are in nobody's use.
_LOCAL = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*", re.ASCII)
_DOMAIN = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])", re.ASCII)
_E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_BETWEEN_DIGITS = str.maketrans("", "", " -.()/\u00a0")


class ContactInvalid(ValueError):
    """The text is no e-mail address or telephone number; the message says what is wanted."""


def email_address(text: str) -> str:
    """Return an e-mail address in lower case, its domain in ASCII (IDNA); raises ContactInvalid."""
    local, at, domain = text.strip().lower().rpartition("@")
    try:
        address = f"{local}@{domain.encode('idna').decode()}"
    except UnicodeError:
        raise ContactInvalid("the address's domain is not a domain name") from None
    domain = address.rpartition("@")[2]
    if not at or not _LOCAL.fullmatch(local) or len(local) > 64 or not _DOMAIN.fullmatch(domain):
        raise ContactInvalid("not an e-mail address such as name@example.org")
    if len(address) > EMAIL_LENGTH_MAXIMUM:
        raise ContactInvalid(f"an e-mail address has at most {EMAIL_LENGTH_MAXIMUM} characters")
    return address


def phone_number(text: str) -> str:
    """Return a telephone number as E.164 (`+358401234567`); raises ContactInvalid.

    Spaces, hyphens, dots, slashes and brackets between the digits are taken out; a national number is not guessed at.
    """
    number = text.strip().translate(_BETWEEN_DIGITS)
    if not _E164.fullmatch(number):
        raise ContactInvalid("not a telephone number in international form such as +358401234567")
    return number
