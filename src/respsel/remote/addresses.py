"""Addresses of data in a recipe: which there are, what is wrong with one, and how it is shown.

Opens no network. Invariants: an address that is parsed holds no secret and names content that does
not move: a file of the hub at a commit, or a file of the web with the digest of its content. No
fault shows what may be a secret.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from respsel.remote.kinds import SCHEME
from respsel.system.patterns import is_pattern

_HUB = "hf://datasets/"
_COMMIT = re.compile(r"[0-9a-f]{40}")
# The branches with a slash that the hub's own tools write without quoting it.
_REVISION = re.compile(r"(refs/(?:convert|pr)/[^/]+|[^/]+)/(.*)", re.DOTALL)
PART_OF_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?")
_DIGEST = re.compile(r"(?:sha256:)?([0-9a-fA-F]{64})")
_FORM = "hf://datasets/OWNER/NAME@COMMIT/path/in/repo.parquet"
# Names of parameters that carry a secret, and beginnings of well-known secrets.
_SECRET_NAME = re.compile(
    r"token|secret|passw|pwd|signature|^sig$|credential|auth|session|jwt|api.?key|access.?key|"
    r"^key$|^code$|^policy$|^x-(amz|goog|ms|oss|cos)-|^(sv|se|sp|sr|st|ske|skt)$|^expires$",
    re.IGNORECASE,
)
_SECRET = re.compile(
    r"(?<![A-Za-z0-9])(hf_[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{16,}|"
    r"sk-[\w-]{16,}|xox[abprs]-[\w-]{8,}|glpat-[\w-]{12,}|AKIA[A-Z0-9]{12,}|eyJ[\w-]{12,}\.[\w-]+)"
)
# A value in a query that is longer and has no word in it may be a secret, whatever its name.
_LONG_VALUE = re.compile(r"[A-Za-z0-9_+/=.-]{32,}")
_UNSHOWN = "…"
_FETCHED = "Download it, and give the file's path"
_REVOKE = "Take it out, and revoke it if the recipe was shared"
_PAGES = ("huggingface.co", "hf.co")


class AddressFault(Exception):
    """What is wrong with an address; `remedy` says what to do."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.remedy = remedy


@dataclass(frozen=True)
class HubAddress:
    """A file of a dataset repository on the hub, or a pattern of files.

    repo: owner and name, or a name alone.
    revision: a commit, or a branch or tag that has to be named as a commit.
    path: the path in the repository, which may be a pattern.
    """

    repo: str
    revision: str
    path: str

    @property
    def is_fixed(self) -> bool:
        """Whether its revision is a commit, which never moves."""
        return _COMMIT.fullmatch(self.revision) is not None

    @property
    def is_pattern(self) -> bool:
        """Whether its path may be a pattern; a file of that name comes first."""
        return is_pattern(self.path)

    def at(self, commit: str) -> str:
        """The same files at a commit, as a recipe has it."""
        return f"{_HUB}{self.repo}@{commit}/{self.path}"


@dataclass(frozen=True)
class WebAddress:
    """A file of the web.

    url: where it is.
    """

    url: str

    @property
    def path(self) -> str:
        """The path within the server, whose ending says the format."""
        return unquote(urlsplit(self.url).path)


Address = HubAddress | WebAddress


def shown(path: str) -> str:
    """An address for messages: without user, password, query and what looks like a secret."""
    bare = re.split(r"[?#]", path, maxsplit=1)
    # A login stands before the first slash; the @ of a revision comes later.
    text = re.sub(r"^([^:/]+://)[^/]*@(?=[^/])", rf"\1{_UNSHOWN}@", bare[0])
    if path.lower().startswith("hf://"):
        text = re.sub(r"^((?i:hf)://[^@]*):[^@/]*@", rf"\1:{_UNSHOWN}@", text)
    text = _SECRET.sub(_UNSHOWN, text)
    harmless = len(bare) > 1 and _query_fault(path) is None and "#" not in path
    return (
        f"{text}?{urlsplit(path).query}"
        if harmless
        else text + (f"?{_UNSHOWN}" if len(bare) > 1 else "")
    )


def holds_secret(text: str) -> bool:
    """Whether a text has what looks like a token or key of a well-known kind."""
    return _SECRET.search(text) is not None


def parse(path: str) -> Address:
    """The address that a recipe has. Raises AddressFault."""
    scheme = SCHEME.match(path)
    assert scheme is not None, "only addresses are parsed"
    if holds_secret(path) or holds_secret(unquote(path)):
        what = f"'{shown(path)}' holds a secret, and a recipe is copied and shown"
        raise AddressFault(what, f"{_REVOKE}. For a private dataset of the hub, run: hf auth login")
    # A scheme's case says nothing.
    path = scheme[1].lower() + path[len(scheme[1]) :]
    match scheme[1].lower():
        case "hf":
            return _hub(path)
        case "https":
            return _web(path)
        case "http":
            what = f"'{shown(path)}' is not encrypted, so anybody on the way could change it"
            raise AddressFault(what, "Use https://, or download it, and give the file's path")
    what = f"'{shown(path)}' is an address of a kind that is not read"
    raise AddressFault(what, f"Use hf://datasets/... or https://..., or: {_lower(_FETCHED)}")


def read_digest(text: str) -> str:
    """A SHA-256 as hexadecimal digits, from how a recipe has it. Raises AddressFault."""
    found = _DIGEST.fullmatch(text.strip())
    if found is None:
        what = "is no digest"
        raise AddressFault(what, 'Write "sha256:" and 64 hexadecimal digits, as sha256sum prints')
    return found[1].lower()


def _hub(path: str) -> HubAddress:
    if not path.startswith(_HUB):
        what = f"'{shown(path)}' is no dataset of the hub"
        raise AddressFault(what, f"Write {_FORM}")
    rest = path.removeprefix(_HUB)
    if "@" not in rest:
        what = f"'{shown(path)}' names no revision, and the hub's files change"
        owner, _, more = rest.partition("/")
        name, _, file = more.partition("/")
        known = f"hf://datasets/{owner}/{name}@COMMIT/{file}" if file else _FORM
        remedy = f"Name the commit (40 hexadecimal digits): {known}. With @main in its place, "
        raise AddressFault(what, f"{remedy}`respsel fetch` looks the commit up")
    repo, _, behind = rest.partition("@")
    parts = repo.split("/")
    if len(parts) > 2 or not all(PART_OF_NAME.fullmatch(part) for part in parts):
        what = f"'{shown(path)}' names no repository"
        raise AddressFault(what, f"Write {_FORM}")
    found = _REVISION.fullmatch(behind)
    file = found[2] if found else ""
    if found is None or not file or file.endswith("/"):
        what = f"'{shown(path)}' names no file"
        raise AddressFault(what, f"Write {_FORM}, or a pattern such as data/train-*.parquet")
    if any(part in ("", ".", "..") for part in file.split("/")) or _has_control(file):
        raise AddressFault(f"'{shown(path)}' has a path that the hub has not", f"Write {_FORM}")
    return HubAddress(repo, unquote(found[1]), file)


def _web(path: str) -> WebAddress:
    try:
        parts = urlsplit(path)
        # It is parsed only when it is looked at.
        _ = parts.port
    except ValueError as error:
        raise AddressFault(f"'{shown(path)}' is no address", "Check it") from error
    if "@" in parts.netloc:
        what = f"'{shown(path)}' holds a user or password, and a recipe is copied and shown"
        raise AddressFault(what, f"Take them out. {_FETCHED}")
    if fault := _query_fault(path):
        raise AddressFault(f"'{shown(path)}' {fault}", f"{_REVOKE}. {_FETCHED}")
    if parts.fragment or "#" in path:
        raise AddressFault(f"'{shown(path)}' has a '#', which no server gets", "Take it out")
    if not parts.hostname or _has_control(path) or " " in path or not path.isascii():
        what = f"'{shown(path)}' is no address"
        raise AddressFault(what, "Write it as a browser does after copying: no blanks, %C3%A9")
    if parts.path in ("", "/") or parts.path.endswith("/"):
        raise AddressFault(f"'{shown(path)}' names no file", "Give the address of one file")
    _refuse_page(path, parts.hostname.lower(), unquote(parts.path))
    return WebAddress(path)


def _refuse_page(path: str, host: str, place: str) -> None:
    """Raise AddressFault for a page about a file, which browsers show in place of it."""
    on_hub = re.fullmatch(r"/datasets/([^/]+/[^/]+|[^/]+)/(blob|resolve)/([^/]+)/(.+)", place)
    if host in _PAGES and on_hub:
        if on_hub[2] == "resolve":
            return
        what = f"'{shown(path)}' is a page about the file"
        address = HubAddress(on_hub[1], on_hub[3], on_hub[4])
        raise AddressFault(what, f"Write {address.at(on_hub[3])}, with a commit as its revision")
    if host == "github.com" and "/blob/" in place:
        what = f"'{shown(path)}' is a page about the file"
        raw = place.replace("/blob/", "/", 1)
        raise AddressFault(what, f"Write https://raw.githubusercontent.com{raw}")


def _query_fault(path: str) -> str | None:
    query = urlsplit(path).query
    for name, value in parse_qsl(query, keep_blank_values=True):
        if _SECRET_NAME.search(name) or _LONG_VALUE.search(value):
            return "has a query that may hold a secret, and a recipe is copied and shown"
    return None


def _has_control(text: str) -> bool:
    return any(ord(char) < 32 or ord(char) == 127 for char in text)


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
