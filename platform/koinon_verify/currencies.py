"""The currencies of ISO 4217 and the decimals of their minor units: the verifier's own table."""

from collections.abc import Mapping
from types import MappingProxyType

from koinon_verify.problems import Refused

# Funds codes stand with the currencies; metals, drawing rights and test codes have no minor unit and settle nothing.
_BY_EXPONENT = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW "
    "CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR "
    "ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV "
    "MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD "
    "SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG "
    "ANG BGN CUC HRK SLL ZWL",  # withdrawn since 2022: a bundle is checked years after its night
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
EXPONENTS: Mapping[str, int] = MappingProxyType(
    {code: exponent for exponent, codes in _BY_EXPONENT.items() for code in codes.split()}
)
"""Alphabetic code → how many decimals the minor unit has."""


def exponent_of(currency: str) -> int:
    """Return how many decimals a currency's minor unit has; refuse one that ISO 4217 does not know."""
    exponent = EXPONENTS.get(currency)
    if exponent is None:
        raise Refused("currency-wrong", f"{currency} is no currency of ISO 4217")
    return exponent
