"""What a server's refusal concerns: an input, the account, the model, the request or its state.

The first two matter most. Codes tell them apart first, then words. Where neither decides, the error
is SUSPECT, and the caller finds out with a question that nobody refuses (see `model`). Knows
nothing of how requests are made. Invariant: an error whose kind is INPUT, ACCOUNT, MODEL or SUSPECT
is the same when it is asked again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from respsel.replies.endings import names
from respsel.replies.server_words import is_page, words_of


class Kind(Enum):
    """What an error is about."""

    INPUT = "this input alone"
    ACCOUNT = "the key or the account"
    MODEL = "the name of the model"
    SUSPECT = "this input, or every request of this shape"
    SHAPE = "every request of this shape"
    RATE = "requests for the time being"
    OUTAGE = "the server was not there"
    SERVER = "the server's own fault"


PERMANENT = (Kind.INPUT, Kind.ACCOUNT, Kind.MODEL, Kind.SUSPECT)
# A server says 500 also of what it is not able to do.
_OUTAGES = (408, 502, 503, 504, 520, 521, 522, 523, 524, 529)
_BILLING = 402
_INPUT_CODES = names(
    "content_policy_violation content_policy content_filter responsibleaipolicyviolation "
    "moderation_blocked moderation "
    "data_inspection_failed datainspectionfailed invalid_prompt prompt_blocked content_violation "
    "safety_error "
    "context_length_exceeded string_above_max_length exceed_context_size_error request_too_large "
    "input_too_long"
)
_ACCOUNT_CODES = names(
    "invalid_api_key incorrect_api_key invalid_authentication authentication_error "
    "authentication_required "
    "insufficient_quota billing_hard_limit_reached billing_not_active billing_error "
    "insufficient_balance "
    "insufficient_credits insufficient_funds payment_required arrearage account_deactivated "
    "access_terminated "
    "account_suspended unsupported_country_region_territory invalid_organization "
    "organization_restricted"
)
_MODEL_CODES = names(
    "model_not_found deploymentnotfound invalid_model model_not_available model_decommissioned "
    "unknown_model"
)
_RATE_CODES = names(
    "rate_limit_exceeded rate_limit_error rate_limit too_many_requests resource_exhausted 429"
)
_OUTAGE_CODES = names(
    "overloaded_error overloaded server_error internal_server_error internal_error api_error "
    "service_unavailable "
    "unavailable engine_overloaded_error bad_gateway gateway_timeout timeout timeout_error"
)
_ACCOUNT_WORDS = re.compile(
    r"\b(?:your|this|the) (?:account|organi[sz]ation|api "
    r"key|project|workspace|subscription)\b.{0,60}"
    r"\b(?:flagged|suspended|deactivated|disabled|blocked|banned|terminated|restricted|overdue|in "
    r"arrears)"
    r"|api[ _-]?key (?:is |was )?(?:not valid|invalid|expired|incorrect|missing|not found|provided)"
    r"|(?:invalid|incorrect|expired|missing|no) api[ _-]?key"
    r"|credit balance|insufficient (?:account )?(?:balance|credit|quota|fund)|billing (?:hard "
    r")?limit|out of credit"
    r"|(?:country|region|location|territory)\b.{0,30} (?:is )?not supported|not "
    r"(?:enough|sufficient) credit",
    re.IGNORECASE | re.DOTALL,
)
_SPENT_WORDS = re.compile(r"exceeded your current quota|check your plan and billing", re.IGNORECASE)
_CONTENT_WORDS = re.compile(
    r"\bflagged\b|content[ _-](?:management "
    r")?(?:policy|policies|filter|moderation)|content_filter|moderation"
    r"|usage polic|safety "
    r"(?:system|filter|policy|policies|guideline|guardrail|setting|check|reason)|guardrail"
    r"|(?:inappropriate|sensitive|harmful|prohibited|unsafe|disallowed|objectionable) "
    r"(?:content|word|text|information|material)"
    r"|violat\w{1,5} .{0,60}(?:polic|guideline|terms)|blocked (?:by|due to|for) "
    r".{0,40}(?:safety|content|policy)",
    re.IGNORECASE | re.DOTALL,
)
_LENGTH_WORDS = re.compile(
    r"context (?:length|window|size)|maximum context|max(?:imum)? (?:input|prompt|sequence)|input "
    r"length"
    r"|(?:prompt|input|message|request|text|entity|payload|body|sequence)\w*(?: is| are| was)? "
    r"too (?:long|large|big)"
    r"|too many (?:input |prompt )?tokens|(?:reduce|shorten) (?:the|your) "
    r"(?:length|prompt|input|message)"
    r"|prompt .{0,40}exceed|exceed\w* .{0,60}(?:context|input)",
    re.IGNORECASE | re.DOTALL,
)
_MODEL_WORDS = re.compile(
    r"\bmodel\b.{0,80}?\b(?:does not exist|do not exist|doesn't exist|not exist|not "
    r"found|decommissioned|was retired)"
    r"|not a valid model|no such model|unknown model|invalid model\b|model .{0,60}is not available",
    re.IGNORECASE | re.DOTALL,
)
_RATE_WORDS = re.compile(
    r"rate[ -]?limit|too many requests|requests per (?:min|sec|day)", re.IGNORECASE
)
_OUTAGE_WORDS = re.compile(
    r"overloaded|temporarily unavailable|service unavailable|bad gateway|timed? ?out", re.IGNORECASE
)
_LIMIT = re.compile(
    r"limit:?\s{0,3}([\d,]{1,15}).{0,40}?requested:?\s{0,3}([\d,]{1,15})", re.IGNORECASE | re.DOTALL
)
# What is looked at of a message: it may repeat a whole prompt.
_LOOKED_AT = 2000


@dataclass(frozen=True)
class ServerError:
    """An error as a server reported it.

    words: its own, in one line; neither cut nor free of the key yet.
    """

    kind: Kind
    status: int
    words: str


class EndpointError(Exception):
    """A request that was not answered."""

    def __init__(self, error: ServerError) -> None:
        super().__init__(error.words)
        self.error = error


def find_error(status: int, content: bytes, headers: Mapping[str, str]) -> ServerError | None:
    """The error in a response, if it is one.

    By its status, or by what it reports under a status that says all is well.
    """
    if status >= 400:
        return read_error(status, content, headers)
    # Log-probabilities of a long prompt take megabytes, which are not read twice.
    if not 200 <= status < 300 or (b'"choices"' in content and b'"error"' not in content):
        return None
    document = _read(content)
    if isinstance(document, list) and len(document) == 1:
        document = document[0]
    if not isinstance(document, Mapping) or document.get("choices") or document.get("output"):
        return None
    is_error = document.get("error") or document.get("errors") or document.get("object") == "error"
    told = document.get("detail") or document.get("message")
    if not is_error and not ("choices" not in document and isinstance(told, str | list)):
        return None
    return read_error(_status_inside(document), content, headers)


def read_error(status: int, content: bytes, headers: Mapping[str, str]) -> ServerError:
    """What the body of an error says, and what it is about."""
    document = _read(content)
    words = words_of(document) if document not in ("", None) else ""
    if isinstance(document, str):
        words = (
            f"status {status}, {_shape(document)}{words}"
            if words
            else f"status {status} without a word"
        )
    inner = document.get("error") if isinstance(document, Mapping) else None
    if (
        isinstance(inner, Mapping)
        and isinstance(param := inner.get("param"), str)
        and param not in words
    ):
        words = f"{words} ({param})"
    codes = {str(code).lower() for code in _codes(document, 4)}
    is_hinted = (
        "retry-after" in headers or b"retrydelay" in content.lower() or b"try again in" in content
    )
    return ServerError(_kind(status, codes, words[:_LOOKED_AT], is_hinted), status, words)


def read_answer(content: bytes, hide: Callable[[bytes], bytes]) -> Mapping[str, Any]:
    """The JSON object that an answer is. Raises EndpointError.

    hide: takes out of a body what may not be shown.
    """
    document = _read(content)
    if isinstance(document, Mapping):
        return document
    shown = _read(hide(content))
    kind = Kind.SUSPECT
    what = f"{_shape(shown)}{words_of(shown)}"
    if not content.strip():
        what = "nothing at all"
    elif isinstance(document, str) and content.lstrip()[:1] in (b"{", b"["):
        kind = Kind.SERVER
        what = f"JSON that breaks off or is none: {words_of(shown)}"
    raise EndpointError(ServerError(kind, 200, f"the server's answer cannot be used: it is {what}"))


def _read(content: bytes) -> Any:
    """The JSON of a body, or its text where it is none."""
    text = content.decode("utf-8", "replace")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _shape(document: Any) -> str:
    """What came where a JSON object should be."""
    if isinstance(document, str):
        return "a web page: " if is_page(document) else "a text: "
    return "a JSON list: " if isinstance(document, list) else "no JSON object: "


def _kind(status: int, codes: set[str], words: str, is_hinted: bool) -> Kind:
    if status in (401, _BILLING) or codes & _ACCOUNT_CODES:
        return Kind.ACCOUNT
    if status == 413 or codes & _INPUT_CODES or _is_too_large(words):
        return Kind.INPUT
    if status == 429:
        return (
            Kind.ACCOUNT
            if not is_hinted and not codes & _RATE_CODES and _is_spent(words)
            else Kind.RATE
        )
    if _ACCOUNT_WORDS.search(words) and status < 500:
        return Kind.ACCOUNT
    if status in _OUTAGES:
        return Kind.OUTAGE
    if _CONTENT_WORDS.search(words) or (
        _LENGTH_WORDS.search(words) and not _is_limit_of_model(words)
    ):
        return Kind.INPUT
    if status >= 500:
        return Kind.SERVER
    if status in (400, 403, 404, 422) and (codes & _MODEL_CODES or _MODEL_WORDS.search(words)):
        return Kind.MODEL
    return Kind.SUSPECT


def _is_spent(words: str) -> bool:
    """Whether a limit is one of money, which no wait lifts."""
    spent = _SPENT_WORDS.search(words) or _ACCOUNT_WORDS.search(words)
    return spent is not None and not _RATE_WORDS.search(words)


def _is_too_large(words: str) -> bool:
    """Whether one request alone is over a limit: no wait helps."""
    found = _LIMIT.search(words)
    over = found and int(found[2].replace(",", "") or 0) > int(found[1].replace(",", "") or 0)
    return "request too large" in words.lower() or bool(over)


def _is_limit_of_model(words: str) -> bool:
    """Whether `max_tokens` is over what the model may write, whatever the input."""
    said = words.lower()
    return "max_tokens" in said and not any(
        word in said for word in ("context", "prompt", "input", "messages")
    )


def _status_inside(document: Mapping[str, Any]) -> int:
    inner = document.get("error")
    for place in (inner, document):
        if isinstance(place, Mapping):
            for name in ("code", "status", "status_code", "http_code"):
                value = place.get(name)
                if isinstance(value, int | str) and re.fullmatch(r"[45]\d\d", str(value)):
                    return int(value)
    codes = {str(code).lower() for code in _codes(document, 4)}
    words = words_of(document)[:_LOOKED_AT]
    if codes & _RATE_CODES or _RATE_WORDS.search(words):
        return 429
    return 503 if codes & _OUTAGE_CODES or _OUTAGE_WORDS.search(words) else 400


def _codes(document: Any, depth: int) -> Iterator[str | int]:
    """The names that a server gives to an error."""
    if isinstance(document, list) and document and depth:
        yield from _codes(document[0], depth - 1)
    if not isinstance(document, Mapping) or not depth:
        return
    for name in ("code", "type", "status", "error_type", "error_code"):
        if isinstance(value := document.get(name), str | int):
            yield value
    for name in ("error", "errors", "innererror", "inner_error"):
        yield from _codes(document.get(name), depth - 1)
    metadata = document.get("metadata")
    if isinstance(metadata, Mapping) and (metadata.get("reasons") or metadata.get("flagged_input")):
        # OpenRouter's words for what its moderation found in an input.
        yield "moderation"
