"""Who may ask: by which name, from which page, with which token; and what every answer tells browsers."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

import cbir
from cbir.core.errors import CbirError
from cbir.serve.config import ServeConfig
from cbir.serve.tokens import Writer
from tests.commands import failure, run
from tests.serve.asking import asking

TOKEN, WRITE = "correct-horse", "battery-staple"
#: Names an address that needs no collection.
ASKED = "/api/collections"
PEOPLE = {"Accept": "text/html,*/*;q=0.8"}


@pytest.fixture
def client(home: Path) -> Iterator[TestClient]:
    with asking() as client:
        yield client


@pytest.fixture
def guarded(home: Path) -> Iterator[TestClient]:
    with asking(token=TOKEN, write_token=WRITE) as client:
        with_writer(client)
        yield client


def with_writer(client: TestClient) -> None:
    """Add an endpoint that changes something, as far as anybody can tell."""

    def change(_: Writer) -> str:
        return "changed"

    client.app.add_api_route("/change", change, methods=["POST"])  # type: ignore[attr-defined]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("127.0.0.1", 200),
        ("localhost:1", 200),
        ("LOCALHOST.", 200),
        ("[::1]:8000", 200),
        ("[0:0::1]", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example:8000", 421),
        ("192.168.1.7", 421),
        ("0.0.0.0:8000", 421),
        ("evil.example@localhost", 400),
        ("localhost/evil.example", 400),
        ("localhost:8000:1", 400),
        ("", 400),
    ],
)
def test_only_the_servers_own_names_are_answered(client: TestClient, host: str, status: int):
    answer = client.get(ASKED, headers={"Host": host})
    assert answer.status_code == status
    assert status == 200 or answer.headers["content-type"] == "application/problem+json"


def test_a_host_is_named_once(client: TestClient):
    request = client.build_request("GET", ASKED)
    request.headers = type(request.headers)([("Host", "localhost"), ("Host", "evil.example")])
    assert client.send(request).status_code == 400


def test_other_names_are_allowed_by_name(home: Path):
    with asking(hosts=("Pictures.example",)) as client:
        assert client.get(ASKED, headers={"Host": "pictures.example:8443"}).status_code == 200
        assert client.get(ASKED, headers={"Host": "other.example"}).status_code == 421
    with asking(
        host="0.0.0.0", token=TOKEN
    ) as client:  # whoever can reach it may name its number, which none can forge
        for host, status in (("192.168.1.7:8000", 200), ("[fe80::1]", 200), ("evil.example", 421)):
            assert client.get(ASKED, headers={"Host": host, **bearer(TOKEN)}).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 422),
        ({"Origin": "http://127.0.0.1:8000"}, 422),
        ({"Origin": "https://127.0.0.1:8000"}, 422),
        ({"Sec-Fetch-Site": "same-origin"}, 422),
        ({"Sec-Fetch-Site": "none"}, 422),
        ({"Origin": "http://127.0.0.1:3000"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:8000.evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Origin": "file://127.0.0.1:8000"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"}, 403),
    ],
)
def test_another_page_cannot_post(client: TestClient, headers: dict[str, str], status: int):
    answer = client.post("/api/uploads", content=b"", headers=headers)
    assert answer.status_code == status
    assert client.request("PATCH", ASKED, headers=headers).status_code == (403 if status == 403 else 405)
    read = client.get(ASKED, headers=headers)
    assert read.status_code == 200
    assert "access-control-allow-origin" not in read.headers


def test_pages_that_are_named_may_ask(home: Path):
    page, preflight = {"Origin": "https://pictures.example"}, {"Access-Control-Request-Method": "POST"}
    with asking(origins=("https://pictures.example",), token=TOKEN) as client:
        before = client.options("/api/uploads", headers={**page, **preflight})
        assert before.status_code == 204
        assert "Authorization" in before.headers["access-control-allow-headers"]
        assert client.post("/api/uploads", headers=page).status_code == 401
        answer = client.post("/api/uploads", headers={**page, **bearer(TOKEN)})
        assert answer.status_code == 422
        for each in (before, answer):
            assert each.headers["access-control-allow-origin"] == page["Origin"]
            assert "Origin" in each.headers["vary"]
            assert "access-control-allow-credentials" not in each.headers
        other = client.options("/api/uploads", headers={"Origin": "https://other.example", **preflight})
        assert other.status_code == 403


@pytest.mark.parametrize(
    "shown", ["", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN, "Bearer \xff"]
)
def test_programs_show_the_token_in_a_header(guarded: TestClient, shown: str):
    answer = guarded.get(ASKED, headers={"Authorization": shown.encode("latin-1")})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"
    for token in (TOKEN, WRITE):
        assert guarded.get(ASKED, headers=bearer(token)).status_code == 200
    for path in (
        "/",
        "/metrics",
        "/api/openapi.json",
        "/uploads/x",
        "/healthz",
        "/api/nothing",
        "/login/x",
        "/loginx",
        "/staticx",
    ):
        assert guarded.get(path, headers={"Authorization": shown.encode("latin-1")}).status_code == 401, path


def test_people_log_in_on_a_page(guarded: TestClient):
    page = guarded.get("/c/x?q=text%3Acat", headers=PEOPLE)
    assert page.status_code == 401
    assert page.headers["content-type"].startswith("text/html")
    (after,) = re.findall(r'name="next" value="([^"]*)"', page.text)
    assert guarded.get(re.findall(r'href="(/static/[^"]+\.css)"', page.text)[0]).status_code == 200
    wrong = guarded.post("/login", data={"token": "guess", "next": after})
    assert (wrong.status_code, "not the token" in wrong.text) == (401, True)
    assert "set-cookie" not in wrong.headers
    right = guarded.post("/login", data={"token": TOKEN, "next": after}, follow_redirects=False)
    assert (right.status_code, right.headers["location"]) == (303, "/c/x?q=text%3Acat")
    cookie = right.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert TOKEN not in cookie
    assert guarded.get(ASKED).status_code == 200, "the client keeps the cookie"
    name, _, value = cookie.partition(";")[0].partition("=")
    guarded.cookies.clear()
    assert guarded.get(ASKED, headers={"Cookie": f"{name}={value[:-1]}x"}).status_code == 401


@pytest.mark.parametrize(
    "after", ["//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil.example", "", "/a\nb"]
)
def test_a_login_leads_nowhere_else(guarded: TestClient, after: str):
    answer = guarded.post("/login", data={"token": TOKEN, "next": after}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_a_token_in_an_address_becomes_a_cookie(guarded: TestClient):
    answer = guarded.get(f"/c/x?q=a%20b&token={TOKEN}&k=1", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/c/x?q=a+b&k=1")
    assert guarded.get(ASKED).status_code == 200
    elsewhere = guarded.get("http://127.0.0.1:8000//evil.example?token=x", follow_redirects=False)
    assert elsewhere.headers["location"] == "/evil.example"
    guarded.cookies.clear()
    wrong = guarded.get("/?token=guess", follow_redirects=False)
    assert (wrong.headers["location"], "set-cookie" in wrong.headers) == ("/", False)
    assert guarded.post(f"/api/uploads?token={TOKEN}").status_code == 401


def test_a_link_on_another_page_asks_again_once(guarded: TestClient):
    """Browsers keep a strict cookie back then; the page that asks again is ours, and gets it."""
    there = guarded.get("/", headers={**PEOPLE, "Sec-Fetch-Site": "cross-site"})
    assert (there.status_code, 'http-equiv="refresh"' in there.text) == (401, True)
    assert 'http-equiv="refresh"' not in guarded.get("/", headers={**PEOPLE, "Sec-Fetch-Site": "same-origin"}).text


def test_whoever_changes_something_shows_the_token_for_that(guarded: TestClient, home: Path):
    for headers, status in ((bearer(TOKEN), 401), (bearer("x"), 401), ({}, 401), (bearer(WRITE), 200)):
        assert guarded.post("/change", headers=headers).status_code == status
    guarded.post("/login", data={"token": WRITE}, follow_redirects=False)
    assert guarded.post("/change").status_code == 200
    assert guarded.post("/change", headers={"Origin": "http://evil.example"}).status_code == 403
    with asking(token=TOKEN) as client:
        with_writer(client)
        answer = client.post("/change", headers=bearer(TOKEN))
        assert (answer.status_code, "--write-token" in answer.json()["detail"]) == (403, True)
    with asking(write_token=WRITE) as client:
        with_writer(client)
        assert client.get(ASKED).status_code == 200, "everybody on this machine may read"
        assert client.post("/change").status_code == 401
        assert client.post("/change", headers=bearer(WRITE)).status_code == 200


def test_every_answer_tells_browsers_what_it_is_not_for(guarded: TestClient):
    def defect() -> None:
        raise RuntimeError

    guarded.app.add_api_route("/defect", defect)  # type: ignore[attr-defined]
    answers = [
        guarded.get(ASKED, headers=bearer(TOKEN)),
        guarded.get("/defect", headers=bearer(TOKEN)),
        guarded.get("/nothing", headers=bearer(TOKEN)),
        guarded.get("/", headers={"Host": "evil.example"}),
        guarded.get("/", headers=PEOPLE),
        guarded.post("/api/uploads", headers={"Origin": "null"}),
    ]
    assert [answer.status_code for answer in answers] == [200, 500, 404, 421, 401, 403]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["cache-control"] in {"no-store", "no-cache"}


@pytest.mark.parametrize("wrong", [{"origins": ("*",)}, {"origins": ("pictures.example",)}, {"hosts": ("http://x",)}])
def test_a_name_that_is_none_is_refused_at_once(wrong: dict[str, tuple[str, ...]]):
    with pytest.raises(CbirError, match="--allow-"):
        ServeConfig(**wrong)  # type: ignore[arg-type]


def test_flags_and_the_environment_say_who_may_ask(monkeypatch: pytest.MonkeyPatch):
    seen: list[ServeConfig] = []
    monkeypatch.setattr(cbir, "serve", lambda config, **_: seen.append(config))
    flags = ("--allow-host", "a.example", "--allow-host", "b.example", "--allow-origin", "https://C.example/")
    run("serve", "--host", "0.0.0.0", *flags, CBIR_TOKEN=TOKEN, CBIR_WRITE_TOKEN=WRITE)
    assert seen == [
        ServeConfig(
            host="0.0.0.0",
            token=TOKEN,
            write_token=WRITE,
            hosts=("a.example", "b.example"),
            origins=("https://c.example",),
        )
    ]
    assert "--token" in failure("serve", "--host", "0.0.0.0")


def test_who_logs_out_has_to_show_the_token_again(digits: Path):
    with asking(token=TOKEN) as client:
        client.post("/login", data={"token": TOKEN})
        assert "Log out" in client.get("/", headers={"Accept": "text/html"}).text
        assert client.get("/logout").status_code == 405
        for elsewhere in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
            refused = client.post("/logout", headers=elsewhere)
            assert (refused.status_code, "set-cookie" in refused.headers) == (403, False)
        assert client.get(ASKED).status_code == 200
        for _ in range(2):  # the second time in another tab
            answer = client.post("/logout", headers=PEOPLE, follow_redirects=False)
            assert (answer.status_code, answer.headers["location"]) == (303, "/login")
            assert not client.cookies
            assert client.get(ASKED).status_code == 401
