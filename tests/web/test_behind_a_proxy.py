"""Changes through a real nginx that passes everything on as it does by default: with its upstream's name as `Host`, and no header of its own."""

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine, text

from bidbeacon_pipelines.requests.wanted_queries import list_wanted
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.web import pipelines_extension
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.server import StreamServer
from bidbeacon_sessions.settings import get_session_settings
from tests.support.rows import add_account
from tests.support.waiting import wait_until

KEY = "US.one"
TOKEN = "a-long-random-token"
PUBLIC_URL = "https://stream.example.com"
CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://127.0.0.1:{upstream}; {directives} }}
    }}
}}
"""
CHANGES = {
    "pause": {"account": KEY},
    "resume": {"account": KEY},
    "cadence": {"account": KEY, "every": "6h"},
    "alias": {"account": KEY, "alias": "Mine"},
    "sync-entities": {"account": KEY},
    "load-windows": {"account": KEY, "dataset": "daily_targets", "windows": ["2026-11-22"]},
}


@pytest.fixture(scope="module")
def nginx() -> str:
    """Where nginx is."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    assert found is not None, "this test needs nginx: apt-get install nginx"
    return found


@pytest.fixture
def proxied(
    nginx: str,
    tmp_path: Path,
    session_store: SessionStore,
    engine: Engine,
    serve_stream: Callable[..., AbstractContextManager[StreamServer]],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., AbstractContextManager[str]]:
    """Serves one account with the given settings behind nginx with the given directives; yields nginx's address."""
    with engine.begin() as connection:
        add_account(connection)

    @contextmanager
    def serve(*directives: str, **settings: str) -> Iterator[str]:
        for name, value in settings.items():
            monkeypatch.setenv(f"BIDBEACON_{name.upper()}", value)
        get_session_settings.cache_clear()
        extension = pipelines_extension(session_store, Settings())
        with serve_stream(session_store, extension=extension) as server:
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            path = tmp_path / "nginx.conf"
            path.write_text(
                CONFIGURATION.format(
                    folder=tmp_path,
                    port=port,
                    upstream=server.port,
                    directives=" ".join(directives),
                )
            )
            process = subprocess.Popen([nginx, "-c", str(path), "-p", str(tmp_path)])
            try:
                wait_until(lambda: _answers(port))
                yield f"http://127.0.0.1:{port}"
            finally:
                process.terminate()
                process.wait(timeout=10)

    return serve


def _answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def count_changes(engine: Engine) -> int:
    """Return how many sessions are stored, and how much is wanted: each change makes one."""
    with engine.connect() as connection:
        sessions = connection.execute(text("SELECT count(*) FROM session_headers")).scalar_one()
        return sessions + len(list_wanted(connection))


@pytest.mark.parametrize(
    "settings", [{}, {"stream_public_url": PUBLIC_URL}], ids=["no public address", "public address"]
)
@pytest.mark.parametrize("directives", [[], ["proxy_set_header Host stream.example.com;"]])
def test_nobody_changes_anything_through_nginx_without_a_token(
    proxied: Callable[..., AbstractContextManager[str]],
    engine: Engine,
    settings: dict[str, str],
    directives: list[str],
) -> None:
    """Whatever it sends as `Host`, and whether or not a public address is set: 403 and how to get the right."""
    with proxied(*directives, **settings) as url:
        for path, body in CHANGES.items():
            answer = httpx.post(f"{url}/api/account/{path}", json=body)
            assert 403 == answer.status_code, (path, answer.text)
    assert 0 == count_changes(engine)


@pytest.mark.parametrize("version", ["", "proxy_http_version 1.1;"])
def test_nginx_has_no_right_of_its_own_under_dev(
    proxied: Callable[..., AbstractContextManager[str]], engine: Engine, version: str
) -> None:
    """By default it speaks HTTP/1.0 or 1.1, depending on its version, and names a loopback host."""
    with proxied(version, stream_changes_token=TOKEN) as url:
        assert 200 == httpx.get(f"{url}/api/accounts").status_code
        for path, body in CHANGES.items():
            answer = httpx.post(f"{url}/api/account/{path}", json=body)
            assert 401 == answer.status_code, (path, answer.text)
    assert 0 == count_changes(engine)


@pytest.mark.parametrize(
    "settings",
    [{"stream_token": TOKEN, "stream_public_url": PUBLIC_URL}, {"stream_changes_token": TOKEN}],
    ids=["token", "token for changes"],
)
def test_with_the_token_changes_pass_through_nginx(
    proxied: Callable[..., AbstractContextManager[str]], engine: Engine, settings: dict[str, str]
) -> None:
    """One that nginx may add by itself, for users whom it has let in."""
    with proxied(**settings) as url:
        address = f"{url}/api/account/pause"
        assert 401 == httpx.post(address, json={"account": KEY}).status_code
        shown = {"Authorization": f"Bearer {TOKEN}"}
        assert 200 == httpx.post(address, json={"account": KEY}, headers=shown).status_code
        cookie = httpx.get(f"{url}/login?token={TOKEN}").headers["set-cookie"].partition(";")[0]
        resume, shown = f"{url}/api/account/resume", {"Cookie": cookie}
        assert 200 == httpx.post(resume, json={"account": KEY}, headers=shown).status_code
    assert 2 == count_changes(engine)
