"""Rules of values known by their looks: addresses, numbers of cards, accounts and telephones, ids, home folders."""

from __future__ import annotations

import re
from typing import Any, Final

from tasktrail.model.scrub_rule import CAPITALS_AND_DIGITS, COLONS, Rule, Shape, digits, groups, letters

# --- what decides where looks do not -------------------------------------------------------------------------------

_SEPARATORS = {ord(character): None for character in " .-\u00a0"}
_CARD_BRANDS = (
    r"4[0-9]{12}(?:[0-9]{3}){0,2}|(?:5[0-8]|2[2-7])[0-9]{14}|3[47][0-9]{13}|3[0689][0-9]{12}|(?:35|6[0-9])[0-9]{14,17}"
)
_DOUBLED = str.maketrans("0123456789", "0246813579")

# By length, so that the groups after an IBAN ("... BIC COBADEFF") are not taken for its own.
_IBAN_COUNTRIES_BY_LENGTH = {
    15: "NO",
    16: "BE",
    18: "DK FI FK FO GL NL SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU MN XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU YE",
    31: "MT SC",
    32: "LC",
    33: "RU",
}

# name@2x.png and getty@tty1.service look like addresses; none of these is a top-level domain. Fewer than 16 characters:
# a longer one could hold a card number, and be an address as soon as that is a placeholder.
_NO_DOMAINS = (
    *(".bmp", ".conf", ".css", ".csv", ".gif", ".html", ".ico", ".jpeg", ".jpg", ".js", ".json", ".log", ".pdf"),
    *(".png", ".svg", ".tar", ".tgz", ".toml", ".ts", ".txt", ".webp", ".whl", ".xml", ".yaml", ".yml"),
    *(".mount", ".scope", ".service", ".slice", ".socket", ".target", ".timer"),
)


def _address(value: str) -> str | None:
    """Read an address; not a short file name, a systemd unit, or the user that every git remote has."""
    address = value.lower()
    domain = address.rpartition("@")[2]
    refused = (len(domain) < 16 and domain.endswith(_NO_DOMAINS)) or address.startswith("git@")
    return None if refused else address


def _card(value: str) -> str | None:
    """Read a card number, which its check digit shows, and its brand's prefix and length."""
    number = value.translate(_SEPARATORS)
    return number if _luhn(number) == 0 and re.fullmatch(_CARD_BRANDS, number) else None


def _luhn(digits: str) -> int:
    """Return the Luhn sum modulo 10; 0 is right. Source: ISO/IEC 7812-1, annex B."""
    every_other = digits[-1::-2] + digits[-2::-2].translate(_DOUBLED)
    return (sum(every_other.encode()) - 48 * len(digits)) % 10  # 48 is ord("0")


def _iban(value: str) -> str | None:
    """Read an IBAN, which its check digits show. Source: ISO 13616, ISO/IEC 7064 MOD 97-10."""
    number = value.translate(_SEPARATORS)
    rest = int("".join(str(int(character, 36)) for character in number[4:] + number[:4])) % 97
    return number if rest == 1 else None


def _id(value: str) -> str | None:
    """Read an id; letters alone are none."""
    return None if value.isalpha() else value.replace("-", "").lower()


def _ipv4(value: str) -> str | None:
    """Read an address of four bytes, none with a zero in front, as `ipaddress` has it."""
    return value if re.fullmatch(_BYTES, value) else None


def _ipv6(value: str) -> str | None:
    """Read an IPv6 address; not a hardware address of eight pairs, nor names of C++ as in a::b."""
    from socket import AF_INET6, inet_ntop, inet_pton  # decides as `ipaddress` does, in a twentieth of the time

    address, _, zone = value.partition("%")
    groups = address.split(":")
    is_name = len(groups) - groups.count("") < 3 and not re.search("[0-9]", value)
    if is_name or all(len(group) == 2 for group in groups):
        return None
    try:
        return f"{inet_ntop(AF_INET6, inet_pton(AF_INET6, address))}%{zone}".rstrip("%")
    except OSError:
        return None


def _phone(value: str) -> str | None:
    """Read a telephone number: 7 to 15 digits (ITU-T E.164), which are no date and no hardware address."""
    number = re.sub("[^0-9]", "", value)
    return number if 7 <= len(number) <= 15 and not re.match(_NO_PHONE, value) else None


def _national(value: str) -> str | None:
    """Read a number that begins with the 0 of its country; of fewer than nine digits it is likely something else."""
    number = _phone(value)
    return number if number and len(number) >= 9 else None


def _grouped(value: str) -> str | None:
    """Read a number of three, three and four digits; between blanks or dots only where it may be one of America."""
    may_be = re.match("(?:1[-. ])?[2-9][0-9]{2}(?:[.]| [2-9])", value) or "-" in value
    return _phone(value) if may_be else None


# --- what values look like -----------------------------------------------------------------------------------------


def _iban_pattern() -> str:
    """Return the pattern of every country's IBAN, in one piece or in groups of four."""

    def one_length(length: int, countries: str) -> str:
        groups, rest = divmod(length - 4, 4)
        tail = rf"[ \u00a0-]?[0-9A-Z]{{{rest}}}" if rest else ""
        return rf"(?<=(?:{countries.replace(' ', '|')})[0-9]{{2}})(?:[ \u00a0-]?[0-9A-Z]{{4}}){{{groups}}}{tail}"

    bodies = "|".join(one_length(*row) for row in _IBAN_COUNTRIES_BY_LENGTH.items())
    return rf"([A-Z](?<![0-9A-Za-z].)[A-Z][0-9]{{2}}(?:{bodies}))(?![0-9A-Za-z])"


_CARD = (  # no 13 to 15 digits after +, which are a telephone number
    r"([2-6](?<![\w.].)(?:[0-9]{15,18}+|(?<!\+.)[0-9]{12,14}+|[0-9]{3}([ .\u00a0-])[0-9]{4}\2[0-9]{4}\2[0-9]{4}"
    r"|[0-9]{3}([ .\u00a0-])[0-9]{6}\3[0-9]{4,5}))(?!\w)(?!\.[0-9])"
)
# A rule apart, because after sixteen digits the next three are more often a security code than the card's own.
_CARD_IN_ODD_GROUPS = (
    r"([2-6](?<![\w.].)[0-9]{3}([ .\u00a0-])[0-9]{4}\2[0-9]{4}\2(?:[0-9]{4}\2[0-9]{3}|[0-9]))(?!\w)(?!\.[0-9])"
)
_EMAIL = (  # from the @ on; reach adds what is in front of it
    r"(?:@(?<=[\w.+-]@)|%40(?<=[\w.+-]%40))(?!v?[0-9]++\.[0-9])"  # not a version: package@1.2.3-beta.one
    r"(?:[\w-]++\.){1,20}[^\W\d_]{2}[\w-]*+"
)
_NAME = r"(?!(?:Shared|Public|Default|All Users)\b)(\w[\w-]*+(?:\.[\w-]++){0,8}+)"
_NAME_OF_WORDS = r"(\w[\w-]*+(?:[ .][\w-]++){1,3}+)(?=\\)"  # C:\Users\Ann Lee\...
_ROOT = r"(?:(?<![]\w.~-]/)|(?<=-[IL]/))"  # neither in a relative path nor in a scrubbed one
_HOME = (
    rf"[/\\](?:{_ROOT}(?:(?:export|mnt|nfs|srv|var)/)?home/{_NAME}|(?:{_ROOT}|(?<=/[A-Za-z]/))Users/{_NAME}"
    rf"|(?<=\\)\\{{0,3}}(?:Users|users|USERS)\\{{1,4}}(?:{_NAME_OF_WORDS}|{_NAME}))"
)

# --- what the profile strict knows ----------------------------------------------------------------------------------

_UUID = r"00000000-0000-0000-0000-000000000000"
# As long as a hash of SHA-1 or SHA-256, and of any other length; a run is looked at where it begins. The zeros are
# written out: a repetition is no literal to search for.
_RUN = "0" * 32 + "(?<!0.{32})"
_HASH = _RUN + r"0{8}(?:0{24})?(?!0)"
_LONG_HEX = _RUN + r"(?!0{8}(?:0{24})?(?!0))0*+"
_VERSION = r"(?:commit|(?<![a-z])sha[0-9_-]{0,5}(?:sum)?|@)[^\w\r\n]{0,3}\Z"
_BYTES = r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!\Z)|\Z)){4}"
_DOTTED = r"[0-9]{1,3}+\.[0-9]{1,3}+\.[0-9]{1,3}+\.[0-9]{1,3}+"
# Not of a version: v1.2.3.4, x-1.2.3.4, x==1.2.3.4, x.so.1.2.3.4, version 1.2.3.4, 1.2.3.4-beta, 1.2.3.4-1ubuntu2
_IPV4_START = r"(?<!\w)(?<!\w\.)(?<![a-z]-)(?<!\w[~<>=!]=)(?<!\bv )(?<!chrome/)(?<!edg/)" + "".join(
    rf"(?<!\b{word}\W{{{gap}}})" for word in ("version", "release") for gap in (1, 2, 3, 4)
)
_IPV4 = (
    rf"\.(?<=[0-9]\.)(?=[0-9])(?:{'|'.join(rf'(?<={_IPV4_START}()[0-9]{{{length}}}[.])' for length in (1, 2, 3))})"
    r"[0-9]{1,3}+\.[0-9]{1,3}+\.[0-9]{1,3}+(?!\w|\.[0-9])"
    r"(?![-+](?:alpha|beta|dev|final|ga|hotfix|lts|nightly|patch|post|pre|rc|release|snapshot|stable|build)(?![a-z])"
    r"|-[0-9]+[a-z~])"
)
_GROUP = r"[0-9a-f]{1,4}"
# In front of the first group: nothing, or a word that is no group ("node:2001:db8::1"); and no index (a[1::2]).
_IPV6_START = r"(?:(?<![]0-9a-f:]:)|(?<=[g-z_]\w:)|(?<=[g-z_]\w\w:)|(?<=[g-z_]\w\w\w:))(?<!\w)(?<![\w)\]]\[)"
_FIRST_GROUP = "|".join(
    rf"(?<=(?=[0-9a-f]{{{length}}}:){_IPV6_START}()[0-9a-f]{{{length}}}:)" for length in (1, 2, 3, 4)
)
_IPV6_END = r"(?:%[a-z]{1,8}[0-9]{0,4}(?!\w))?(?!\w|\.[0-9]|::|:[0-9a-f]|:\[ip)"
_IPV6 = (
    rf":(?:(?<=[0-9a-f]:)(?={_GROUP}:|:)(?:{_FIRST_GROUP})(?:{_GROUP}:){{0,6}}+:|(?<!:.):(?!:[\w:])(?<={_IPV6_START}()::))"
    rf"(?!:[\w:])(?:(?:{_GROUP}:){{0,6}}(?:{_DOTTED}|{_GROUP}))?{_IPV6_END}"
)
_IPV6_WHOLE = (
    rf":(?<=[0-9a-f]:)(?={_GROUP}:{_GROUP}:)(?:{_FIRST_GROUP})"
    rf"(?:{_GROUP}:){{5}}(?:{_GROUP}:{_GROUP}|{_DOTTED}){_IPV6_END}"
)

_NO_PHONE = (  # a date, a hardware address, a fraction
    r"(?:19|20)[0-9]{2}[-/. ][01]?[0-9][-/. ][0-3]?[0-9]|[0-3]?[0-9][-/. ][0-3]?[0-9][-/. ](?:19|20)[0-9]{2}(?![0-9])"
    r"|(?:[0-9]{2}-){5}[0-9]{2}\Z|\+[0-9]\.[0-9]{1,9}\Z"
)
_PHONE_PLUS = r"\+(?<![\w+)\]]\+)[1-9](?:[ .()\u00a0-]{0,3}[0-9]){7,14}(?!\w|::)"
_PHONE_END = r"(?!\w|-\w|[.:/+][0-9]|::)"
# 030 1234567 · 030/1234567 · 0151-23456789 · 06 12 34 56 78 · 06.12.34.56.78 · 0049 30 1234567 · (030) 123-4567
_PHONE_REST = r"[0-9](?:[ -]?[0-9]){4,10}" + _PHONE_END
_PHONE_ZERO = (
    r"0(?<![\w#+].)(?<![0-9][.:/-].)(?<!\w-.)"
    rf"(?:(?:0[1-9][0-9]{{0,2}}|[1-9][0-9]{{0,4}})(?: ?/ ?|[ -])(?:\(0\)[ -]?)?{_PHONE_REST}"
    rf"|[1-9](?:\.[0-9]{{2}}){{4}}{_PHONE_END})"
)
_PHONE_ZERO_AREA = rf"\(0[1-9][0-9]{{0,3}}\)[ -]?{_PHONE_REST}"
# 555-123-4567 · 1-800-555-0199 · 555.123.4567 · 212 555 0123 · (555) 123-4567
_GROUPS_START = r"(?<![\w#+])(?<![0-9][.:/-])(?<![a-z]-)()"
_GROUPS_FIRST = rf"000(?:(?<={_GROUPS_START}0[-. ]000)|(?<={_GROUPS_START}000))"
_PHONE_GROUPS = _GROUPS_FIRST + r"[- ]000[- ]0000" + _PHONE_END
_PHONE_DOTS = _GROUPS_FIRST + r"\.000\.0000" + _PHONE_END
_PHONE_AREA = r"\(000\)[ -]?000[-. ]0000" + _PHONE_END
_PHONE_NAMED = (
    r"(?:phone|mobile|fax|tel(?<![a-z]tel)(?:efon)?)(?:[ _-]?(?:no|nr|num|number))?\.?"
    r"\\?[\"']?[ \t]*[:=]?[ \t]*\\?[\"']?(\+?[0-9(][0-9 ()./\u00a0-]{5,22}[0-9])(?![\w:])"
)

# --- the rules -------------------------------------------------------------------------------------------------------

MAIL: Final = (
    Rule("email", "email", _EMAIL, signs=("@", "%40"), needs="@%", reach="._+-", numbered=True, reads=_address),
)
IDS: Final = (  # the hash last: what stands in front of it may be the end of another id
    Rule("uuid", "id", _UUID, shape=letters(32), view="hex", numbered=True, reads=_id),
    Rule("hex", "id", _LONG_HEX, shape=letters(32), view="hex", numbered=True, reads=_id),
    Rule("hash", "id", _HASH, shape=letters(32), view="hex", spared=_VERSION, numbered=True, reads=_id),
)
NUMBERS: Final = (
    Rule("iban", "iban", _iban_pattern(), shape=CAPITALS_AND_DIGITS, numbered=True, reads=_iban),
    Rule("card", "card", _CARD, shape=digits(13), numbered=True, reads=_card),
    Rule("card_odd", "card", _CARD_IN_ODD_GROUPS, shape=digits(13), numbered=True, reads=_card),
)
NAMED: Final = (Rule("home", "user", _HOME, signs=("home/", "users/", "users\\"), needs="/\\", numbered=True),)
ADDRESSES: Final = (  # the first: an IPv6 address may end as an IPv4 address
    Rule("ipv6", "ip", _IPV6, signs=("::",), needs=":", view="folded", numbered=True, reads=_ipv6),
    Rule("ipv6_whole", "ip", _IPV6_WHOLE, shape=COLONS, view="folded", numbered=True, reads=_ipv6),
    Rule("ipv4", "ip", _IPV4, shape=groups("0.0"), view="folded", numbered=True, reads=_ipv4),
)


def _telephone(kind: str, pattern: str, sign: str, shape: Shape, **more: Any) -> Rule:
    details: dict[str, Any] = {"reads": _phone, "signs": tuple(sign.split("|")), "numbered": True, **more}
    return Rule(f"phone_{kind}", "phone", pattern, shape=shape, **details)


PHONES: Final = (
    _telephone("plus", _PHONE_PLUS, "+", digits(8)),
    _telephone("named", _PHONE_NAMED, "phone|mobile|fax|tel", digits(7), view="folded"),
    _telephone("zero", _PHONE_ZERO, "0", digits(9), reads=_national),
    _telephone("zero_area", _PHONE_ZERO_AREA, "(0", digits(9), reads=_national),
    _telephone("groups", _PHONE_GROUPS, "", groups("000-000-0000"), view="digits", reads=_grouped),
    _telephone("dots", _PHONE_DOTS, "", groups("000.000.0000"), view="digits", reads=_grouped),
    _telephone("area", _PHONE_AREA, "(", digits(10), view="digits"),
)
