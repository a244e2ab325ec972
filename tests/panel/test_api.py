"""Every endpoint answers what OpenAPI says, and refuses everything else in words."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from link.backend import MemoryBackend
from panel.conftest import Web
from werkzeug.test import TestResponse

from leyden.kernel import ManualClock, Role
from leyden.link.server import LinkServer
from leyden.panel.app import Panel
from leyden.panel.openapi import document


def error_of(answer: TestResponse) -> tuple[int, str, str]:
    assert answer.json is not None
    assert set(answer.json) == {"error"}
    assert set(answer.json["error"]) == {"code", "message"}
    assert answer.json["error"]["message"]
    return answer.status_code, answer.json["error"]["code"], answer.json["error"]["message"]


def ok(answer: TestResponse) -> Any:
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.json


def test_healthz_is_open_and_has_four_figures(web: Web, backend: MemoryBackend) -> None:
    backend.publish()
    assert ok(web.get("/healthz", None)) == {
        "status": "ok",
        "version": "0.1.0",
        "n": 1,
        "uptime_s": 12.5,
    }


def test_healthz_says_degraded_while_the_runtime_is_away(
    web: Web, runtime: LinkServer, backend: MemoryBackend, panel: Panel, clock: ManualClock
) -> None:
    backend.publish()
    panel.hub.read_once(0)
    runtime.stop()
    clock.advance(1)
    found = ok(web.get("/healthz", None))
    assert (found["status"], found["n"], found["uptime_s"]) == ("degraded", 1, 0.0)


def test_many_health_checks_ask_the_runtime_twice_a_second(
    web: Web, runtime: LinkServer, clock: ManualClock
) -> None:
    clock.advance(1)
    for _ in range(20):
        web.get("/healthz", None)
    assert runtime.counters()["requests"] == 1
    clock.advance(0.6)
    web.get("/healthz", None)
    assert runtime.counters()["requests"] == 2


def test_identity_says_whose_panel_this_is(web: Web) -> None:
    found = ok(web.get("/api/v1/identity"))
    assert found["hostname"] == "bench"
    assert (found["name"], found["boot"], found["clock_state"]) == ("greenhouse", 3, "synced")


def test_health_has_the_panels_own_figures(web: Web) -> None:
    found = ok(web.get("/api/v1/health"))
    assert found["name"] == "greenhouse"
    assert (found["clients"], found["clients_limit"]) == (0, 24)


def test_session_says_who_you_are(web: Web) -> None:
    found = ok(web.get("/api/v1/session", Role.ENGINEER))
    assert found == {"role": "engineer", "name": "test engineer"}


def test_devices_and_buses(web: Web) -> None:
    found = ok(web.get("/api/v1/devices"))
    assert found["devices"][0]["error"]["detail"].endswith("check the cable")
    assert found["buses"][0]["name"] == "i2c1"


def test_routes(web: Web) -> None:
    found = ok(web.get("/api/v1/routes"))
    assert found["routes"][0]["normal"] == [18.0, 28.0]


def test_the_latest_value_of_a_route(web: Web, backend: MemoryBackend) -> None:
    backend.publish(value=21.5)
    found = ok(web.get("/api/v1/routes/air.temperature/latest"))
    assert found == {
        "route": "air.temperature",
        "value": 21.5,
        "unit": "Cel",
        "quality": "good",
        "reason": "",
        "age_s": 0.5,
        "n": 1,
        "time": "2026-01-01T00:00:00.000Z",
        "detail": "",
    }


def test_a_bad_value_is_null_beside_the_last_one(web: Web, backend: MemoryBackend) -> None:
    backend.publish(value=None, quality="bad", reason="no_data", detail="no answer from 0x76")
    found = ok(web.get("/api/v1/routes/air.temperature/latest"))
    assert (found["value"], found["last_value"], found["reason"]) == (None, 21.5, "no_data")


def test_the_latest_value_of_every_route(web: Web, backend: MemoryBackend) -> None:
    backend.publish()
    found = ok(web.get("/api/v1/latest"))
    assert len(found["latest"]) == 4
    assert found["head"] == 1


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/history?route=air.temperature&span_s=60&points=2",
        "/api/v1/routes/air.temperature/history?span_s=60&points=2",
    ],
)
def test_history(web: Web, backend: MemoryBackend, path: str) -> None:
    for value in (1.0, 2.0, 3.0):
        backend.publish(value=value)
    found = ok(web.get(path))
    assert found["points"] == [[2000.0, 2.0, "good", 2.0, 2.0], [3000.0, 3.0, "good", 3.0, 3.0]]


def test_events_are_read_page_by_page_without_a_hole(web: Web, backend: MemoryBackend) -> None:
    for _ in range(10):
        backend.publish()
    backend.lose(3, "power cut")
    backend.publish()
    numbers, gaps, after = [], [], 0
    for _ in range(10):
        page = ok(web.get(f"/api/v1/events?after={after}&limit=4"))
        numbers += [event["n"] for event in page["events"]]
        gaps += page["gaps"]
        if page["next"] == after:
            break
        after = page["next"]
    assert numbers == [*range(1, 11), 14]
    assert gaps == [{"first": 11, "last": 13, "reason": "power cut"}]


def test_events_of_some_routes(web: Web, backend: MemoryBackend) -> None:
    for route in ("air.temperature", "dust.pm2_5", "air.humidity"):
        backend.publish(route)
    one = ok(web.get("/api/v1/events?route=air."))
    assert [event["n"] for event in one["events"]] == [1, 3]
    two = ok(web.get("/api/v1/events?route=dust&route=air.h"))
    assert [event["n"] for event in two["events"]] == [2, 3]


def test_an_intent_carries_the_askers_name_and_role(web: Web, backend: MemoryBackend) -> None:
    body = {"goal": "device.write", "payload": {"route": "vent.state", "value": True}, "key": "k"}
    assert ok(web.post("/api/v1/intents", Role.OPERATOR, json=body))["outcome"] == "done"
    intent, _ = backend.intents[0]
    assert (intent.who, intent.role, intent.key) == ("test operator", Role.OPERATOR, "k")
    assert intent.payload == {"route": "vent.state", "value": True}


def test_a_viewers_intent_is_refused_by_the_runtime_in_its_answer(web: Web) -> None:
    found = ok(web.post("/api/v1/intents", json={"goal": "device.write"}))
    assert found["outcome"] == "refused"
    assert "operator" in found["detail"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("limit=0", 'limit: found "0"; expected `int` >= 1'),
        ("limit=5001", "<= 5000"),
        ("limit=1.5", 'limit: found "1.5"; expected `int`'),
        ("limit=", 'limit: found ""'),
        ("after=-1", ">= 0"),
        ("after=99999999999999999999", "after"),
        ("after=1&after=2", 'found the parameter "after" twice'),
        ("route=", "route"),
        ("route=" + "x" * 201, "<= 200"),
        ("&".join(["route=a"] * 65), "<= 64"),
        ("foo=1", "unknown field `foo`; there are: after, limit, route"),
    ],
)
def test_a_wrong_parameter_is_refused_by_its_name(web: Web, query: str, words: str) -> None:
    status, code, message = error_of(web.get(f"/api/v1/events?{query}"))
    assert (status, code) == (400, "bad_request")
    assert words in message


@pytest.mark.parametrize(
    "query", ["route=a.b&span_s=0", "route=a.b&span_s=nan", "route=a.b&span_s=inf", "span_s=60",
              "route=a.b&points=1", "route=a.b&points=99999", "route=a.b&span_s=-5"],
)  # fmt: skip
def test_a_history_of_nonsense_is_refused(web: Web, query: str) -> None:
    assert error_of(web.get(f"/api/v1/history?{query}"))[0] == 400


@pytest.mark.parametrize("path", ["/api/v1/latest", "/api/v1/identity", "/healthz"])
def test_endpoints_without_parameters_take_none(web: Web, path: str) -> None:
    assert error_of(web.get(f"{path}?a=1"))[0] == 400


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/routes/no.such/latest",
        "/api/v1/routes/%00/latest",
        "/api/v1/routes/%F0%9F%98%80/latest",
        "/api/v1/history?route=no.such",
        "/api/v1/routes/no.such/history",
        "/api/v1/nothing",
        "/api/v1/",
        "/api/",
        "/api/v2/latest",
        "/healthz/more",
        "/api/v1/routes/a/b/latest",
    ],
)
def test_what_is_not_there_is_not_found(web: Web, path: str) -> None:
    status, code, _ = error_of(web.get(path))
    assert (status, code) == (404, "not_found")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_another_method_is_not_allowed(web: Web, method: str) -> None:
    answer = web.bare.open("/api/v1/latest", method=method)
    status, code, _ = error_of(answer)
    assert (status, code) == (405, "method_not_allowed")
    assert "GET" in answer.headers["Allow"]


def test_head_is_a_get_without_its_body(web: Web) -> None:
    answer = web.bare.open("/healthz", method="HEAD")
    assert (answer.status_code, answer.data) == (200, b"")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "missing required field `goal`"),
        (b"{", "no JSON"),
        (b"[1]", "Expected `object`"),
        (b'{"goal":"x; rm"}', "goal"),
        (b'{"goal":"a.b","role":"admin"}', "unknown field `role`"),
        (b'{"goal":"a.b","who":"root"}', "unknown field `who`"),
        (b'{"goal":"a.b","expires_s":31}', "<= 30"),
        (b'{"goal":"a.b","payload":' + b"[" * 60_000, "no JSON"),
        (b"\xff\xfe", "no JSON"),
    ],
)
def test_an_impossible_intent_is_refused(web: Web, body: bytes, words: str) -> None:
    status, code, message = error_of(web.post("/api/v1/intents", Role.OPERATOR, data=body))
    assert (status, code) == (400, "bad_request")
    assert words in message


def test_a_body_of_more_than_64_kilobytes_is_too_large(web: Web) -> None:
    answer = web.post("/api/v1/intents", Role.OPERATOR, data=b"x" * 65_537)
    assert error_of(answer)[:2] == (413, "too_large")


def test_while_the_runtime_is_away_every_question_says_so(
    web: Web, runtime: LinkServer, panel: Panel
) -> None:
    runtime.stop()
    for endpoint in endpoints_of(panel):
        if endpoint["path"] in OWN:
            continue
        answer = ask(web, endpoint)
        assert error_of(answer)[:2] == (503, "runtime_away"), endpoint
        assert answer.headers["Retry-After"] == "1"


def test_a_failure_of_the_panel_is_told_without_its_details(
    web: Web, panel: Panel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ZeroDivisionError("secret of the panel")

    monkeypatch.setattr(panel.link, "devices", fail)
    status, code, message = error_of(web.get("/api/v1/devices"))
    assert (status, code) == (500, "internal")
    assert "secret" not in message
    assert "secret of the panel" in caplog.text


def test_tokens_are_in_no_log(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    web.get("/api/v1/latest")
    web.get(f"/api/v1/latest?token={web.token()}")
    web.get("/api/v1/latest", None, headers={"Authorization": "Bearer ley_" + "w" * 43})
    assert web.token() not in caplog.text
    assert "wwww" not in caplog.text


# OpenAPI.


def endpoints_of(panel: Panel) -> list[dict[str, Any]]:
    description = panel.app.test_client().get("/api/v1/openapi.json").json
    assert description is not None
    return [
        {"path": path, "method": method, **operation}
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]


# What the panel answers by itself.
OWN = {"/healthz", "/api/v1/session", "/api/v1/sign-out"}
OWN |= {"/api/v1/password", "/api/v1/system/acknowledge"}
EXAMPLES = {"route": "air.temperature", "goal": "world.set"}
BODIES = {
    "/api/v1/intents": {"goal": "world.set"},
    "/api/v1/password": {"new": "four words make one"},
    "/api/v1/system/acknowledge": {"id": "0123456789abcdef"},
}


def ask(web: Web, endpoint: dict[str, Any], query: str = "") -> TestResponse:
    path = re.sub(r"{(\w+)}", lambda match: EXAMPLES[match[1]], endpoint["path"])
    needed = [
        f"{each['name']}={EXAMPLES[each['name']]}"
        for each in endpoint["parameters"]
        if each["in"] == "query" and each["required"]
    ]
    path += "?" + "&".join([*needed, query]).strip("&")
    body = BODIES[endpoint["path"]] if "requestBody" in endpoint else None
    return web._send(endpoint["method"].upper(), path, Role.ADMIN, json=body)


def test_openapi_is_open_and_describes_every_endpoint_there_is(web: Web, panel: Panel) -> None:
    description = ok(web.get("/api/v1/openapi.json", None))
    assert description["openapi"].startswith("3.1")
    served = {
        rule.rule.replace("<", "{").replace(">", "}")
        for rule in panel.app.url_map.iter_rules()
        if rule.rule.startswith(("/api/", "/healthz"))
    }
    assert served == {*description["paths"], "/api/v1/openapi.json"}


def test_every_endpoint_answers_its_own_description(
    web: Web, panel: Panel, backend: MemoryBackend
) -> None:
    backend.publish()
    schemas = ok(web.get("/api/v1/openapi.json"))["components"]["schemas"]
    for endpoint in endpoints_of(panel):
        answer = ok(ask(web, endpoint))
        content = endpoint["responses"]["200"]["content"]["application/json"]["schema"]
        assert fits(answer, content, schemas), endpoint["path"]


def test_every_limit_in_the_description_is_enforced(web: Web, panel: Panel) -> None:
    checked = 0
    for endpoint in endpoints_of(panel):
        for each in endpoint["parameters"]:
            if each["in"] == "path":
                continue
            rule = each["schema"]
            for bad in beyond(rule):
                assert ask(web, endpoint, f"{each['name']}={bad}").status_code == 400
                checked += 1
    assert checked >= 12


def test_every_endpoint_needs_a_token_unless_it_says_otherwise(web: Web, panel: Panel) -> None:
    for endpoint in endpoints_of(panel):
        path = re.sub(r"{\w+}", "air.temperature", endpoint["path"])
        answer = web._send(endpoint["method"].upper(), path, None)
        assert (answer.status_code == 200) is (endpoint.get("security") == [])
        assert answer.status_code in {200, 401}


def test_every_reference_in_the_description_leads_somewhere(panel: Panel) -> None:
    description = document(panel.api.endpoints(), "1")
    found = set(references(description))
    assert len(found) > 20
    for reference in found:
        _, _, kind, name = reference.split("/")
        assert name in description["components"][kind]


def beyond(rule: dict[str, Any]) -> list[str]:
    """Values just outside what a schema allows."""
    found = []
    if "minimum" in rule:
        found.append(str(rule["minimum"] - 1))
    if "exclusiveMinimum" in rule:
        found.append(str(rule["exclusiveMinimum"]))
    if "maximum" in rule:
        found.append(str(int(rule["maximum"]) + 1))
    if rule["type"] in {"integer", "number"}:
        found.append("many")
    if rule["type"] == "string":
        found.append("x" * (rule["maxLength"] + 1))
    return found


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return own + list(itertools.chain.from_iterable(references(v) for v in node.values()))
    if isinstance(node, list):
        return list(itertools.chain.from_iterable(references(v) for v in node))
    return []


_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def fits(value: Any, schema: dict[str, Any], schemas: dict[str, Any]) -> bool:
    """Whether a value is what a schema says, as far as ours go."""
    if "$ref" in schema:
        return fits(value, schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "anyOf" in schema:
        return any(fits(value, each, schemas) for each in schema["anyOf"])
    kind = schema.get("type")
    if kind is not None and type(value) not in _TYPES[kind]:
        return False
    inner = {"object": _fits_object, "array": _fits_array}.get(kind or "")
    listed = value in schema.get("enum", [value])
    return listed and (inner is None or inner(value, schema, schemas))


def _fits_object(value: Any, schema: dict[str, Any], schemas: dict[str, Any]) -> bool:
    properties = schema.get("properties", {})
    complete = all(name in value for name in schema.get("required", []))
    return complete and all(
        fits(each, properties[name], schemas) for name, each in value.items() if name in properties
    )


def _fits_array(value: Any, schema: dict[str, Any], schemas: dict[str, Any]) -> bool:
    items = schema.get("items")
    return not isinstance(items, dict) or all(fits(each, items, schemas) for each in value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    path=st.sampled_from(["events", "history", "latest", "routes/x/latest", "intents", "session"]),
    query=st.dictionaries(st.text(max_size=10), st.text(max_size=20), max_size=4),
    body=st.binary(max_size=60),
    method=st.sampled_from(["GET", "POST", "DELETE"]),
)
def test_whatever_is_asked_the_answer_is_json_and_no_failure_of_ours(
    web: Web, path: str, query: dict[str, str], body: bytes, method: str
) -> None:
    answer = web._send(method, f"/api/v1/{path}", Role.ADMIN, query_string=query, data=body)
    assert answer.status_code in {200, 400, 404, 405}
    assert answer.is_json


def test_nothing_is_written_but_the_auth_directory(tmp_path: Path, web: Web) -> None:
    web.sign_in()
    web.get("/api/v1/latest")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["auth", "leyden.sock"]
