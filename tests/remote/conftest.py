"""Fixtures: a certificate that the tests trust, and short pauses."""

from __future__ import annotations

from pathlib import Path

import pytest

from respsel.remote import web
from tests.remote_servers import make_certificate


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The certificate, trusted by this process; and no waiting between attempts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setattr(web, "_PAUSE_S", 0.001)
    for name in ("HF_HUB_OFFLINE", "RESPSEL_OFFLINE", "HF_TOKEN", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return certificate
