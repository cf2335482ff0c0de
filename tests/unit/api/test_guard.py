"""What every request has to pass: the role of its token, the host it addresses, the page it comes from, its form."""

import asyncio

import pytest

from api.access import PUBLIC, ROLES
from api.app import create_app
from api.guard import Guard, host_names
from api.operations import OPERATIONS
from deltaforge.control.audit import AuditLog
from deltaforge.control.options import ServeOptions
from deltaforge.control.service import PipelineService
from deltaforge.control.tokens import Role, Tokens
from deltaforge.storage.memory import MemoryStorage

TOKENS = {"reader": Role.READ, "keeper": Role.OPERATE, "ada": Role.ADMIN}
HERE = "127.0.0.1:8080"


def application(tmp_path, *, tokens=True, hosts=(), audit=None):
    path = tmp_path / "tokens"
    path.write_text("".join(f"{role.name.lower()}:{name}:secret-of-{name}\n" for name, role in TOKENS.items()))
    path.chmod(0o600)
    service = PipelineService(MemoryStorage(), ServeOptions(storage_backend="memory", state_dir=tmp_path))
    return create_app(service, guard=Guard(Tokens(path=path) if tokens else Tokens(), host_names(hosts)), audit=audit)


def status(app, method, path, **headers):
    """Of a request with a JSON object as its body, if it may have one."""

    async def ask():
        data = b"{}" if method in ("POST", "PUT", "PATCH") else None
        kind = {"Content-Type": "application/json"} if data else {}
        sent = {"Host": HERE, **kind, **{name.replace("_", "-"): value for name, value in headers.items()}}
        answer = await app.test_client().open(path, method=method, headers=sent, data=data)
        body = await answer.get_json() if answer.content_type == "application/json" else None
        return answer.status_code, (body or {}).get("code") if isinstance(body, dict) else None

    return asyncio.run(ask())


def path_of(route):
    return route.replace("{name}", "p").replace("{database}", "d").replace("{table}", "t")


def test_every_route_has_a_role():
    assert set(ROLES) == set(OPERATIONS)


def test_a_token_may_do_what_its_role_says_and_nobody_anything_without_one(tmp_path):
    app = application(tmp_path)
    for route, needed in ROLES.items():
        method, _, path = route.partition(" ")
        assert (status(app, method, path_of(path))[0] == 401) == (route != PUBLIC), route
        for name, role in TOKENS.items():
            code, said = status(app, method, path_of(path), Authorization=f"Bearer secret-of-{name}")
            assert (code == 403) == (role < needed), (route, name, code)
            assert said == "FORBIDDEN" or code != 403, (route, name)


CROSS_SITE = [
    {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": f"https://{HERE}.evil.example"}, {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site"}, {"Origin": "http://127.0.0.1:9999"},
]  # fmt: skip


@pytest.mark.parametrize("headers", CROSS_SITE)
def test_a_page_of_another_site_changes_nothing(tmp_path, headers):
    app = application(tmp_path, tokens=False)
    for method, path in (
        ("POST", "/pipelines"),
        ("DELETE", "/pipelines/p"),
        ("PATCH", "/pipelines/p"),
        ("PUT", "/log-level"),
    ):
        assert status(app, method, path, **headers) == (403, "CROSS_SITE")
    assert status(app, "GET", "/pipelines", **headers)[0] == 200  # without CORS it cannot read the answer


@pytest.mark.parametrize("headers", [{"Origin": f"http://{HERE}"}, {"Sec_Fetch_Site": "same-origin"}, {}])
def test_a_page_of_ours_and_a_program_may(tmp_path, headers):
    assert status(application(tmp_path, tokens=False), "DELETE", "/pipelines/p", **headers) == (
        404,
        "PIPELINE_NOT_FOUND",
    )


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_what_a_form_can_send_is_no_document(tmp_path, kind):
    app = application(tmp_path, tokens=False)
    assert status(app, "POST", "/validate", Content_Type=kind)[0] == 400
    assert status(app, "POST", "/pipelines/p/stop", Content_Type=kind)[0] == 400


def test_a_name_that_is_made_to_point_to_us_is_not_ours(tmp_path):
    open_to_all = application(tmp_path, tokens=False)
    for host in ("evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example"):
        assert status(open_to_all, "GET", "/pipelines", Host=host) == (403, "HOST_NOT_ALLOWED")
    for host in (HERE, "localhost:8080", "[::1]:8080", "10.0.0.7"):
        assert status(open_to_all, "GET", "/pipelines", Host=host)[0] == 200
    named = application(tmp_path, hosts=["cdc.example"])
    token = {"Authorization": "Bearer secret-of-ada"}
    assert status(named, "GET", "/pipelines", Host="CDC.example:443", **token)[0] == 200
    assert status(named, "GET", "/pipelines", Host="other.example", **token) == (403, "HOST_NOT_ALLOWED")


def test_refusals_are_noted_apart_and_without_the_token(tmp_path):
    app = application(tmp_path, audit=AuditLog(tmp_path / "audit", max_bytes=400, kept=2))
    for number in range(5):
        assert status(app, "POST", "/pipelines", Authorization=f"Bearer guess-{number}")[0] == 401
    assert status(app, "POST", "/pipelines", Authorization="Bearer secret-of-reader") == (403, "FORBIDDEN")
    files = sorted((tmp_path / "audit").iterdir())
    assert [file.name for file in files] == ["refused.jsonl", "refused.jsonl.1"]  # bounded
    assert all(file.stat().st_mode & 0o077 == 0 for file in files)
    text = "".join(file.read_text() for file in files)
    assert '"who": "reader"' in text
    assert "guess-" not in text
    assert "secret-of" not in text
