"""Rules of secrets: keys, tokens, credentials; by what stands around them, then by the looks of known providers."""

from __future__ import annotations

from typing import Final

from tasktrail.model.scrub_rule import Rule, letters

_PEM = (
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:[^-]*+(?:-(?!-)[^-]*+)*+-----END [A-Z0-9 ]{0,60}-----|[0-9A-Za-z+/=\s\\]*+)"  # the second: cut off before END
)
_USERINFO = r"://(?!\[)([^][\s/:@?#\"'<>]*+:[^][\s/\"'<>]+(?=@)|[^][\s/:@?#\"'<>]{16,}+(?=@))"

# From here the patterns read lower case. A value ends at a blank, a quote or a delimiter; what closes around it stays.
_VALUE_END = r"[\s\"'`,;&)\]}>.]|\Z"
# What stands after a key and is no value: nothing, a type, a variable, a call, a mask, a placeholder, a word of a
# sentence; and a hash that names itself.
_NO_VALUE = (
    r"(?!(?:[bfru]{0,2}\\?[\"'])?(?:"
    r"(?:any|bool|bytes|empty|false|hidden|int|invalid|is|masked|missing|must|nil|none|not|null|object|option|optional"
    r"|redacted|required|str|string|the|to|true|undefined|was|wrong)(?![\w-])"
    r"|[$%]?[\[{(<]|\*{3}|%s|[|>][+-]?[ \t]*+(?:[\r\n]|\Z)|sha[0-9]{1,3}[:=-]?[0-9a-f]{40,64}+(?!\.*+[\w+@%-])"
    rf"|\$[{{(]?[a-z_][a-z0-9_]{{0,64}}+[}})]?(?={_VALUE_END})))"
)
# Only where no quote is: there a name may be code, as in password=getpass() or token = self.token.
_NO_CODE = (
    r"(?![a-z_.]{3,64}+\(|(?:args|cfg|cls|config|ctx|env|os|request|self|settings)\.[a-z_]"
    r"|[a-z_.]{1,64}+\[(?:card|email|iban|id|ip|phone|secret|user)[]:])"  # such a name that a later rule has shortened
)
# Between quotes; one after a stroke ends nothing.
_IN_DOUBLE, _IN_SINGLE = (rf"(?:[^{quote}\\\r\n]++|\\[^\r\n]?+)++" for quote in "\"'")
_VALUE = (
    rf"{_NO_VALUE}(?:[bfru]{{0,2}}(?:\\\"([^\"\\\r\n]+)|\\'([^'\\\r\n]+)|\"({_IN_DOUBLE})|'({_IN_SINGLE}))"
    rf"|{_NO_CODE}([^\s\"'`,;&]*[^\s\"'`,;&)\]}}>.\\]))"
)
# "token" is also a word of grammars, lexers and models: its value must look like one.
_RANDOM = (
    rf"{_NO_VALUE}(?:[bfru]{{0,2}}\\?[\"']|{_NO_CODE})(?![0-9]{{1,15}}+(?![\w.~+/=:|%-]))"
    r"((?=[\w.~+/=:|%-]{0,64}[0-9])[\w.~+/=:|%-]{6,}+|[\w.~+/=:|%-]{16,}+)(?!\[)"
)
_IS = (
    r"\\?[\"']?\]?[ \t]*+(?>:=|=>|={1,3}|:(?!:))[ \t]*+"  # key = value, "key": "value", ['key'] = value; not C++::names
)
_PASS_OF = (  # not first_pass: 12 ms
    r"(?:(?<=(?:db|pg)[_-]pass)|(?<=(?:api|app|ftp|sql)[_-]pass)|(?<=(?:auth|imap|ldap|mail|root|smtp|user)[_-]pass)"
    r"|(?<=(?:admin|email|login|mongo|mysql|proxy|redis)[_-]pass)|(?<=(?:database|postgres|rabbitmq)[_-]pass))"
)
_KEY = (  # "[secret" is the beginning of our own placeholder
    rf"(?:pass(?:(?:word|wd|phrase|code)s?|{_PASS_OF})|pwd(?!{_IS}[\"']?[/~])|secret(?<!\[secret)(?:[ _-]?key)?"
    r"|api[ _-]?key|access[ _-]?key|account[ _-]?key|cryption[ _-]?key|private[ _-]?key|signing[ _-]?key)"
    rf"[0-9]?{_IS}{_VALUE}"
)
_TOKEN = rf"token{_IS}{_RANDOM}"
_FLAG = (  # --password value; ['--password', 'value']
    r"--(?<![\w\]-]--)[a-z0-9-]++(?:(?:(?<=password)|(?<=passwd)|(?<=passphrase)|(?<=secret)|(?<=api-key)|(?<=access-key)"
    rf"|(?<=secret-key))(?:[ \t]++|[\"'],[ \t]*+)(?!-){_VALUE}"
    rf"|(?<=token)(?:[ \t]++|[\"'],[ \t]*+)(?!-){_RANDOM})"
)
_AUTHORIZATION = (
    r"authorization\\?[\"']?[ \t]*+[:=][ \t]*+(?:\\?[\"'])?+(?:(?:apikey|basic|bearer|token)[ \t]++)?+"
    rf"{_NO_VALUE}{_NO_CODE}([^\s\"'`,;\\]++)"
)
_BEARER = r"b(?:earer[ \t]++(?=[a-z+/._~=-]*+[0-9])|asic[ \t]++(?=[a-z+/]*+[0-9=]))([\w+/.~=-]{16,}+)"
_PAIR = (  # ('x-api-key', 'value'), as lists of headers have it; more than two are names
    r"[(\[]b?[\"'](?:(?:proxy-)?authorization|(?:x-)?(?:api[-_]key|auth[-_]token)|(?:set-)?cookie)[\"'],[ \t]*+b?[\"']"
    rf"(?:(?:apikey|basic|bearer|token)[ \t]++)?+{_NO_VALUE}([^\"'\r\n]++)(?=[\"'][)\]])"
)
_COOKIE = rf"cookie\\?[\"']?[ \t]*+:[ \t]*+(?:\\?[\"'])?+{_NO_VALUE}([^\s;\"'`]++(?:;[ \t]*+[^\s;\"'`]++)*+)"

# One row per provider: its name in the placeholder, the signs, the key's looks, which are 18 characters or more. A
# look-behind has the characters of the key's body, where that is scanned to its end before it can be refused.
_PROVIDERS = (
    ("aws", ("akia", "asia"), r"A[KS]IA(?<![0-9A-Za-z]....)[A-Z2-7]{16}(?!\w)"),
    ("github", ("gh", "github_pat_"), r"g(?:h[opsru]_(?<![0-9A-Za-z]....)|ithub_pat_(?<![0-9A-Za-z].{11}))\w{36,}+"),
    ("gitlab", ("glpat-", "glrt-"), r"gl(?:pat-(?<![0-9A-Za-z].{6})|rt-(?<![0-9A-Za-z].{5}))[\w-]{20,}+"),
    ("slack", ("xox", "xapp-"), r"x(?:ox[abeoprs]-|app-(?=[0-9]-))(?<![0-9A-Za-z].{5})[\w-]{13,}+"),
    ("google", ("aiza",), r"AIza(?<![0-9A-Za-z]....)[\w-]{35,}+"),
    ("google_oauth", ("ya29.",), r"ya29\.(?<![0-9A-Za-z].{5})[\w-]{20,}+"),
    ("huggingface", ("hf_",), r"hf_(?<![0-9A-Za-z]...)[0-9A-Za-z]{30,}+\w*+"),
    ("sendgrid", ("sg.",), r"SG\.(?<![\w-]...)[\w-]{18,}+\.(?=[\w-]{0,64}[0-9_-])[\w-]{18,}+"),
    ("stripe", ("sk_", "rk_"), r"[rs]k_(?<![0-9A-Za-z]...)(?:live|test)_\w{10,}+"),
    ("anthropic", ("sk-ant-",), r"sk-ant-(?<![0-9A-Za-z].{7})[\w-]{16,}+"),
    ("openai", ("sk-",), r"sk-(?<![\w-]...)(?:(?:admin|proj|svcacct)-[\w-]{20,}+|[0-9A-Za-z]{20,}+[\w-]*+)"),
    ("npm", ("npm_",), r"npm_(?<![0-9A-Za-z]....)[0-9A-Za-z]{36,}+\w*+"),
    ("pypi", ("pypi-",), r"pypi-(?<![0-9A-Za-z].{5})[\w-]{50,}+"),
    ("jwt", ("eyj",), r"eyJ(?<![\w-]...)[\w-]{15,}+\.[\w-]{8,}+(?:\.[\w-]*+){0,3}+"),
)


_KEY_SIGNS = ("pass", "pwd", "secret", "key")

SECRETS: Final = (
    # The whole PEM block first: a key in front of it would take its first word only. The URL before the key, or
    # "redis://:secret=x@host" would lose its host.
    Rule("private_key", "secret:pem", _PEM, signs=("private key",), needs="-"),
    Rule("url", "secret", _USERINFO, signs=("://",), needs=":"),
    Rule("authorization", "secret", _AUTHORIZATION, signs=("authorization",), needs=":=", view="folded"),
    Rule("bearer", "secret", _BEARER, signs=("bearer", "basic"), view="folded"),
    Rule("pair", "secret", _PAIR, signs=("auth", "api-key", "api_key", "cookie"), needs="'\"", view="folded"),
    Rule("cookie", "secret", _COOKIE, signs=("cookie",), needs=":", view="folded"),
    Rule("key", "secret", _KEY, signs=_KEY_SIGNS, needs=":=", view="folded"),
    Rule("token", "secret", _TOKEN, signs=("token",), needs=":=", view="folded"),
    Rule("flag", "secret", _FLAG, signs=("--",), needs="-", view="folded"),
    *(Rule(f"key_{name}", f"secret:{name}", pattern, signs, shape=letters(18)) for name, signs, pattern in _PROVIDERS),
)
"""In the order in which they are applied."""
