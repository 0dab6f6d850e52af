"""JSON documents that programs read: their kinds, and the version of each that is written.

Knows nothing of what they say; `respsel schema KIND` does. Invariant: within a version keys are
added, but none goes and none changes its meaning.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from respsel.text.characters import visible_json

# Raise a document's version when a key goes, or means something else.
VERSIONS = {"report": 1, "plan": 1, "run": 1, "compare": 1, "status": 1, "validate": 1}


def stamped(kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """A document that says what it is: `kind`, and `format`, the version of its keys."""
    return {"kind": kind, "format": VERSIONS[kind], **body}


def file_text(document: Mapping[str, Any]) -> str:
    """A document as a file has it: in lines, with control characters as escapes."""
    return visible_json(json.dumps(document, indent=1, ensure_ascii=False))
