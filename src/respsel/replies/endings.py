"""How a model's answer ended: the finish reasons of servers.

Sources: the API references of OpenAI (chat, completions, responses), Anthropic, Mistral, DeepSeek,
Gemini, Cohere, Bedrock, AI21, watsonx, xAI, Zhipu, OpenRouter, and the code of vLLM, SGLang, TGI,
llama.cpp, Ollama and LM Studio.

Knows nothing of bodies. Invariant: only an ending that is known to be good makes a whole text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

NOT_SAID = (
    "the server does not say how the answer ended (no finish_reason), so it may have broken off"
)


def names(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


# Names without case, blanks, hyphens and underscores.
_WHOLE = names(
    "stop endturn stopsequence eos eostoken complete completed finish finished endoftext "
    "stopcriteriamet normal "
    "eosfound stopstringfound"
)
_CUT_SHORT = names(
    "length maxtokens maxlength maxlen maxcontext maxoutputtokens maxcompletiontokens modellength "
    "modelcontextwindowexceeded contextlengthexceeded contextlengthreached "
    "maxpredictedtokensreached tokenlimit "
    "errorlimit limit incomplete"
)
_FILTERED = names(
    "contentfilter contentfiltered filtered safety recitation blocklist prohibitedcontent spii "
    "imagesafety sensitive "
    "guardrailintervened errortoxic moderation blocked language"
)
_REFUSED = frozenset(["refusal", "refused"])
_TOOL = names(
    "toolcall toolcalls tooluse functioncall functioncalls malformedfunctioncall unexpectedtoolcall"
)
_BROKEN = names(
    "error abort aborted cancel cancelled canceled usercancel userstopped timeout timelimit "
    "pauseturn other load "
    "unload unknown insufficientsystemresource networkerror servererror modelunloaded failed "
    "expired queued "
    "inprogress notfinished unspecified null none"
)
_PREFIXES = ("finishreason", "stopreason", "reason")


@dataclass(frozen=True)
class Ending:
    """How an answer ended. Without a problem and not truncated, it is whole.

    truncated: it reached a limit of tokens.
    problem: why there is no text to use.
    about_input: the problem is what the input or the text says, not the server.
    is_said: the server gave a finish reason.
    """

    truncated: bool = False
    problem: str = ""
    about_input: bool = False
    is_said: bool = True


def ending_of(reason: object, native: object = None) -> Ending:
    """What a finish reason means.

    native: the word of the server behind a router, which may mean something worse.
    """
    ending = _ending(reason)
    if ending != Ending() or native is None:
        return ending
    name = _plain_name(native)
    # A router knows more names than this module does, so an unknown one changes nothing.
    known_as_bad = name in _CUT_SHORT | _FILTERED | _REFUSED | _TOOL | _BROKEN
    return _ending(native) if known_as_bad else ending


def _ending(reason: object) -> Ending:
    if reason is None or reason in ("", {}):
        return Ending(problem=NOT_SAID, is_said=False)
    name = _plain_name(reason)
    told = f"(finish_reason {_shown(reason)})"
    if name in _WHOLE:
        return Ending()
    if name in _CUT_SHORT:
        return Ending(truncated=True)
    # Gemini has sent "content_filter: RECITATION".
    if name in _FILTERED or name.startswith("contentfilter"):
        return Ending(problem=f"the content filter stopped it {told}", about_input=True)
    if name in _REFUSED:
        return Ending(problem=f"the model refused {told}", about_input=True)
    if name in _TOOL:
        return Ending(problem=f"it calls a tool where none was given {told}")
    if name in _BROKEN:
        return Ending(problem=f"the answer broke off {told}")
    return Ending(problem=f"the answer ended in a way that is not known to be good {told}")


def _plain_name(reason: object) -> str:
    """A reason's name as in the sets above.

    SGLang has sent {"type": name}, and Python clients print FinishReason.NAME.
    """
    if isinstance(reason, Mapping):
        reason = reason.get("type")
    if not isinstance(reason, str):
        return "?"
    name = re.sub(r"[\s_\-]", "", reason.rpartition(".")[2]).lower()
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name


def _shown(reason: object) -> str:
    if isinstance(reason, Mapping):
        reason = reason.get("message") or reason.get("type") or dict(reason)
    return repr(reason if isinstance(reason, str) else str(reason))
