"""How people and brands are reached: e-mail addresses and telephone numbers in the one form that is stored.

Messages never repeat what was given.
"""

import re

import phonenumbers
from email_validator import EmailNotValidError, validate_email

# A vanity number's letters, an extension and another alphabet's digits are read by the library, and would be dropped
# or changed in silence: two people's numbers could become one.
_WRITTEN = re.compile(r"\+[0-9 ./()\u00a0-]+", re.ASCII)


class ContactInvalid(ValueError):
    """The text is no e-mail address or telephone number; the message says what is wanted."""


def email_address(text: str) -> str:
    """Return an e-mail address in lower case, its domain in ASCII (IDNA 2008); raises ContactInvalid.

    Whether mail arrives there is not asked: an address is shown to be somebody's when they answer.
    """
    try:
        address = validate_email(
            text.strip(), check_deliverability=False, allow_smtputf8=False, strict=True
        ).ascii_email
    except EmailNotValidError:
        address = None
    if address is None:
        raise ContactInvalid("not an e-mail address such as name@example.org")
    return address.lower()


def phone_number(text: str) -> str:
    """Return a telephone number as E.164 (`+358401234567`); raises ContactInvalid.

    A national number is not guessed at. Its length must be one that its country has; which ranges a country has given
    out is not asked, because they grow faster than any list of them.
    """
    written = text.strip()
    try:
        number = phonenumbers.parse(written, None) if _WRITTEN.fullmatch(written) else None
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_possible_number(number):
        raise ContactInvalid("not a telephone number in international form such as +358401234567")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
