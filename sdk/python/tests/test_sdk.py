"""The SDK itself: schemas and values from types, failures, requests, what is captured."""

import json
import unittest
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Literal

from action_protocol import (
    Accepted,
    Advice,
    BadResponse,
    ConnectionReport,
    Doc,
    Effect,
    Egress,
    InvalidInput,
    Issue,
    Length,
    Outcome,
    Pattern,
    Payload,
    Protocol,
    Range,
    RateLimited,
    Rejected,
    Secret,
    Tls,
    TookEffect,
    WebhookReply,
    capture,
    export,
    export_reconciler,
    http,
    journal,
    schema,
    testing,
)
from action_protocol.boundary import JSON_DEPTH_MAX, parse_json, whole
from wit_world.imports import model, outbound


class Mode(Enum):
    FAST = "fast"
    SLOW = "slow"


@dataclass
class Server:
    host: Annotated[str, Egress.TCP]
    port: int = 25


@dataclass
class Config:
    url: Annotated[str, Doc("Where."), Egress.HTTP, Pattern("^https?://")]
    token: Secret | None = None
    mode: Mode = Mode.FAST
    kind: Literal["a", 1] = "a"
    count: Annotated[int, Range(1, 3)] = 2
    ratio: float = 0.5
    tags: Annotated[list[Annotated[str, Length(1, 3)]], Length(0, 2)] = field(default_factory=list)
    labels: dict[str, bool] = field(default_factory=dict)
    server: Server | str | None = None


class Peek(Protocol[Config]):
    name = "peek"
    version = "0.1.0"
    summary = "Reads a page"
    examples = {"one": {"url": "https://example.com/"}}

    def validate(self, config):
        return Accepted.read()

    def test_connection(self, config):
        return ConnectionReport("answered", {"status": http.head(config.url).status})

    def execute(self, call):
        match call.config.tags:
            case ["get"]:
                answer = http.follow(call.config.url, bearer=call.config.token)
                return answer.raise_for_status(Effect.READ).payload()
            case ["rl"]:
                raise RateLimited("slow", advice=Advice.retry_after(1500), details={"a": 1})
            case ["bug"]:
                return {}["nothing"]
            case ["rev"]:
                return Payload.bytes("application/octet-stream", call.config.token.reveal())
            case ["cap"]:
                capture.emit("page", Payload.text("x"), key="k")
                capture.set_state_json("s", {"n": 1})
                journal.progress(1, 2, "half")
                return Payload.json({"state": capture.state_json("s"), "new": capture.checkpoint()})
            case ["in"]:
                return Payload.json(call.input.parse(Server))
        return Outcome(Payload.text("hi"), WebhookReply(201, {"X-A": "b"}, b"body"))

    def reconcile(self, call):
        return TookEffect(Payload.text(call.idempotency_key))


def config(tag=None, **more):
    return {"url": "https://example.com/", **({"tags": [tag]} if tag else {}), **more}


class Schemas(unittest.TestCase):
    def test_a_schema_is_made_of_the_type(self):
        got = schema.of(Config)
        self.assertEqual(got["required"], ["url"])
        self.assertFalse(got["additionalProperties"])
        properties = got["properties"]
        self.assertEqual(properties["url"], {"type": "string", "description": "Where.", "x-egress": "http", "pattern": "^https?://"})
        self.assertEqual(properties["token"], {"type": "string", "writeOnly": True})
        self.assertEqual(properties["mode"], {"enum": ["fast", "slow"], "default": "fast"})
        self.assertEqual(properties["count"], {"type": "integer", "minimum": 1, "maximum": 3, "default": 2})
        self.assertEqual(properties["tags"], {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 3}, "minItems": 0, "maxItems": 2})
        self.assertEqual(properties["labels"], {"type": "object", "additionalProperties": {"type": "boolean"}})
        self.assertEqual(properties["server"]["anyOf"][0]["properties"]["host"]["x-egress"], "tcp")

    def test_a_value_of_the_type_is_made_of_json(self):
        got = schema.parse(Config, {"url": "http://x", "mode": "slow", "ratio": 1, "server": {"host": "h:1"}, "labels": {"a": True}, "kind": 1})
        self.assertEqual((got.mode, got.ratio, got.server, got.labels, got.kind), (Mode.SLOW, 1.0, Server("h:1"), {"a": True}, 1))
        self.assertEqual(schema.parse(Config, {"url": "http://x", "server": "s"}).server, "s")

    def test_everything_wrong_is_said_with_its_place(self):
        wrong = {"url": "x", "mode": "c", "count": True, "tags": ["", "abcd", "x"], "labels": {"a/b": 1}, "server": {"port": "1"}, "colour": 1, "kind": True}
        with self.assertRaises(schema.DoesNotFit) as caught:
            schema.parse(Config, wrong)
        places = sorted(f"{one.pointer} {one.code}" for one in caught.exception.wrong)
        self.assertEqual(
            places,
            ["/colour unknown_property", "/count type", "/kind type", "/labels/a~1b type", "/mode type", "/server/host required",
             "/server/port type", "/tags/0 length", "/tags/1 length", "/url pattern"],
        )

    def test_a_type_without_a_form_in_json_is_refused_when_it_is_built(self):
        with self.assertRaises(TypeError):
            schema.of(set[str])


class Calls(unittest.TestCase):
    def test_describing_and_validating(self):
        descriptor = export(Peek)().describe()
        self.assertEqual((descriptor.name, json.loads(descriptor.examples[0].config)["url"]), ("peek", "https://example.com/"))
        self.assertEqual(testing.validate(Peek, config()).effect, Effect.READ)
        self.assertEqual([(one.pointer, one.code) for one in testing.validate(Peek, {"count": 9})], [("/url", "required"), ("/count", "range")])

    def test_outcomes_and_replies(self):
        outcome = testing.execute(Peek, config())
        self.assertEqual((outcome.output.data, outcome.reply.status, outcome.reply.headers[0].value), (b"hi", 201, b"b"))

    def test_failures_have_their_kind_and_advice(self):
        failure = testing.execute(Peek, config("rl"))
        self.assertEqual((failure.kind.name, failure.advice.value, json.loads(failure.details)), ("RATE_LIMITED", 1500, {"a": 1}))
        with testing.Service() as service:
            failure = testing.execute(Peek, config("bug"))
            self.assertEqual((failure.kind.name, "KeyError" in service.logs[0]), ("INTERNAL", True))
            failure = testing.execute(Peek, config("get"))
            self.assertEqual((failure.kind.name, type(failure.advice)), ("INVALID_CONFIG", model.Advice_GiveUp))

    def test_an_input_that_does_not_fit_says_where(self):
        self.assertEqual(json.loads(testing.execute(Peek, config("in"), {"host": "h"}).output.data), {"host": "h", "port": 25})
        failure = testing.execute(Peek, config("in"), {"port": "x"})
        self.assertEqual(failure.kind.name, "INVALID_INPUT")
        self.assertEqual({one["pointer"] for one in json.loads(failure.details)["issues"]}, {"/host", "/port"})
        with self.assertRaises(InvalidInput):
            Payload("application/json", b"{").parse()

    def test_what_is_captured_logged_and_revealed(self):
        with testing.Service() as service:
            self.assertEqual(json.loads(testing.execute(Peek, config("cap")).output.data), {"state": {"n": 1}, "new": 1})
            self.assertEqual((service.items[0].key, service.progress), ("k", [(1, 2, "half")]))
            service.secrets["sec_1"] = b"\x00value"
            self.assertEqual(testing.execute(Peek, config("rev", token="sec_1")).output.data, b"\x00value")
            self.assertEqual(testing.execute(Peek, config("rev", token="sec_2")).kind.name, "INVALID_CONFIG")
        with testing.Service(captures=False):
            self.assertEqual(testing.execute(Peek, config("cap")).kind.name, "UNAVAILABLE")

    def test_reconciling(self):
        answer = export_reconciler(Peek)().reconcile(testing.call(config()))
        self.assertEqual(answer.value.output.data, b"exe_1")


HALF = "\ud800"


class Halves(Protocol[Config]):
    """Says what a remote told it in every place where a protocol can say something."""

    name = "halves"
    version = "0.1.0"
    summary = "s"

    def validate(self, config):
        return [Issue(f"/{HALF}", HALF, HALF)] if config.tags == ["no"] else Accepted(Effect.READ, [Issue("", "c", HALF)])

    def test_connection(self, config):
        return ConnectionReport(HALF, {"said": HALF})

    def execute(self, call):
        said = http.get(f"https://example.com/{HALF}", headers={"X-A": HALF}).json()[0]
        journal.warn(said)
        journal.progress(1, 2, said)
        capture.emit("page", Payload(said, said.encode("utf-8", "replace")), key=f"k{said}")
        capture.set_state_json(f"s{said}", {said: said})
        if call.config.tags == ["err"]:
            raise Rejected(said, details={said: said})
        return Outcome(Payload.json({said: said}), WebhookReply(200, {said: said}))


class Boundary(unittest.TestCase):
    def texts(self, value):
        """Every text in what the service is given. One that is not whole would end the component."""
        if isinstance(value, str):
            return [value]
        if isinstance(value, list | tuple):
            return [text for one in value for text in self.texts(one)]
        return self.texts(list(vars(value).values())) if hasattr(value, "__dict__") and not isinstance(value, Enum) else []

    def test_half_characters_of_a_remote_are_replaced_wherever_they_go(self):
        with testing.Service(lambda _: testing.Response(200, body=b'["\\ud800"]')) as service:
            outcome = testing.execute(Halves, config())
            failure = testing.execute(Halves, config("err"))
            given = [outcome, failure, testing.test_connection(Halves, config()), testing.validate(Halves, config("no"))]
            given += [testing.validate(Halves, config()), service.items, service.logs, service.requests, *service.progress, [*service.state]]
        for text in self.texts(given):
            text.encode()
        self.assertEqual(json.loads(outcome.output.data), {"\ufffd": "\ufffd"})
        self.assertEqual((failure.message, json.loads(failure.details)), ("\ufffd", {"\ufffd": "\ufffd"}))
        self.assertEqual((service.logs[0], service.items[0].key), ("\ufffd", "k\ufffd"))
        self.assertEqual(whole("a\ud83e\udd80 🦀 ä"), "a\ufffd\ufffd 🦀 ä")

    def test_json_is_as_deep_as_the_service_reads_it_and_no_deeper(self):
        def nested(depth):
            return b"[" * depth + b"]" * depth

        self.assertEqual(len(parse_json(nested(JSON_DEPTH_MAX))), 1)
        flat = json.dumps([{"a": ["[[[", '\\"[[', "{{{" * 100]}] * 1000).encode()
        self.assertEqual(len(parse_json(flat)), 1000)
        for deep in [nested(JSON_DEPTH_MAX + 1), nested(100_000), b'{"a":' * 100_000, b'["\\\\",' * 200]:
            with self.assertRaisesRegex(ValueError, "nested more than"):
                parse_json(deep)
            with self.assertRaises(BadResponse):
                http.Response(200, body=deep).json()
            with self.assertRaises(InvalidInput):
                Payload("application/json", deep).parse()
        for none in [b"NaN", b"[Infinity]", b"\xff", "[]".encode("utf-16")]:
            with self.assertRaises(BadResponse):
                http.Response(200, body=none).json()
        self.assertEqual(Payload.json([float("nan"), 1e999, 1.5]).data, b"[null,null,1.5]")


class Requests(unittest.TestCase):
    def told(self, status, headers=(), effect=Effect.READ):
        failure = http.Response(status, list(headers)).failure(effect)
        return failure.kind.name, type(failure.advice).__name__.removeprefix("Advice_"), getattr(failure.advice, "value", None)

    def test_statuses(self):
        dates = [("Date", "Sun, 06 Nov 1994 08:49:00 GMT"), ("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT")]
        self.assertEqual(self.told(401), ("UNAUTHENTICATED", "GiveUp", None))
        self.assertEqual(self.told(404), ("REJECTED", "GiveUp", None))
        self.assertEqual(self.told(429, [("Retry-After", "2")]), ("RATE_LIMITED", "RetryAfter", 2000))
        self.assertEqual(self.told(503, dates), ("UNAVAILABLE", "RetryAfter", 37_000))
        self.assertEqual(self.told(502, effect=Effect.UNSAFE), ("UNAVAILABLE", "InDoubt", None))
        self.assertEqual(self.told(502), ("UNAVAILABLE", "Retry", None))

    def test_errors_on_the_way(self):
        for value, word, kind, advice in [
            (outbound.OutboundError_Denied("d"), "denied", "INVALID_CONFIG", "GiveUp"),
            (outbound.OutboundError_ConnectFailed("d"), "connect-failed", "UNAVAILABLE", "Retry"),
            (outbound.OutboundError_TimedOut(), "timed-out", "UNAVAILABLE", "InDoubt"),
            (outbound.OutboundError_TooLarge(7), "too-large", "BAD_RESPONSE", "GiveUp"),
            (outbound.OutboundError_TlsFailed("d"), "tls-failed", "BAD_RESPONSE", "GiveUp"),
        ]:
            error = http.outbound_error(value)
            failure = error.failure()
            self.assertEqual((error.word, failure.kind.name, type(failure.advice).__name__), (word, kind, f"Advice_{advice}"))

    def test_credentials_do_not_follow_to_another_origin(self):
        def answer(request):
            away = request.url.startswith("https://example.com")
            return testing.Response(302, [("Location", "https://other.example/")]) if away else testing.Response(200)

        with testing.Service(answer) as service:
            http.follow("https://example.com/", bearer="t", headers={"X-Key": "sec_0", "X-Plain": "p"})
        sent = [sorted(header.name for header in request.headers) for request in service.requests]
        self.assertEqual(sent, [["Authorization", "X-Key", "X-Plain"], ["X-Plain"]])

    def test_what_a_config_says_about_tls_goes_along_with_the_request(self):
        got = schema.parse(Tls, {"extra_roots": "R", "client_certificate": {"chain": "C", "key": "sec_1"}})
        self.assertTrue(schema.of(Tls)["properties"]["client_certificate"]["properties"]["key"]["writeOnly"])
        with testing.Service(lambda _: testing.Response(200)) as service:
            http.get("https://example.com/", tls=got.options())
        identity = http.ClientIdentity("C", "sec_1")
        self.assertEqual(service.requests[0].tls, http.TlsOptions(None, "R", identity, []))

    def test_a_redirect_to_what_is_no_url_is_a_bad_response(self):
        for location in ["http://[::1", "https://example.com:99999/", "https://example.com:x/", "ftp://example.com/", "//[x"]:
            with testing.Service(lambda _, to=location: testing.Response(302, [("Location", to)])), self.assertRaises(BadResponse):
                http.follow("https://example.com/a")

    def test_a_secret_is_not_shown(self):
        self.assertNotIn("plain", repr(Secret("plain")))


if __name__ == "__main__":
    unittest.main()
