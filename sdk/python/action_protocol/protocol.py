"""The class that a protocol is, and what makes the contract's functions of it."""

import json
import traceback
import typing
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from componentize_py_types import Err
from wit_world.imports import model
from wit_world.imports.model import Effect, Issue

from . import journal, schema
from .boundary import lowered, parse_json, to_json
from .capture import CaptureError
from .failure import Failure, Internal, InvalidConfig
from .http import OutboundError
from .payload import Outcome, Payload

C = TypeVar("C")


@dataclass
class Accepted(model.Accepted):
    """A config that the protocol accepts, and what repeating an execution can do outside."""

    effect: Effect
    warnings: list[Issue] = field(default_factory=list)

    @classmethod
    def read(cls) -> "Accepted":
        """Only reads."""
        return cls(Effect.READ)


@dataclass
class ConnectionReport:
    """Who answered, in one line, and details for a program to read."""

    summary: str
    details: Any = field(default_factory=dict)


@dataclass
class Call(Generic[C]):
    """What `execute` is called with, and `reconcile` too."""

    action: str
    execution: str
    correlation: str
    attempt: int
    """1 for the first attempt."""
    idempotency_key: str
    """The same for every attempt of one execution."""
    deadline: str
    """RFC 3339, UTC. The attempt is ended at this time, wherever it is."""
    traceparent: str | None
    trigger: model.Trigger
    config: C
    input: Payload


class Protocol(Generic[C]):
    """Knows how to speak to one type of outside system.

    Every call gets a fresh instance of the component: nothing survives in memory from one to the next.
    What a module does when it is imported is done once, when the component is built.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    summary: ClassVar[str]
    """One line for a list."""
    documentation: ClassVar[str] = ""
    """Markdown for the person who configures an action."""
    examples: ClassVar[dict[str, dict]] = {}
    """Configs to show to people, by name. The service checks them against the schema."""
    input_schema: ClassVar[dict | None] = None
    output_schema: ClassVar[dict | None] = None
    test_methods: ClassVar[list[str]] = []
    """HTTP methods beside GET, HEAD and OPTIONS that `test_connection` needs."""

    def validate(self, config: C) -> Accepted | list[Issue]:
        """Says what repeating an execution can do, or everything that is wrong. Gets no network.

        What the type itself refuses is reported by the SDK.
        """
        raise NotImplementedError

    def test_connection(self, config: C) -> ConnectionReport:
        """Reaches the outside system without changing anything there."""
        raise NotImplementedError

    def execute(self, call: Call[C]) -> Outcome | Payload:
        """Does the work. Raises a `Failure` where it cannot."""
        raise NotImplementedError


def config_type(protocol: type[Protocol]) -> Any:
    """The `Config` in `class Peek(Protocol[Config])`."""
    for base in getattr(protocol, "__orig_bases__", ()):
        if typing.get_origin(base) is Protocol:
            return typing.get_args(base)[0]
    raise TypeError(f"{protocol.__name__} has to name its config: class {protocol.__name__}(Protocol[Config])")


def export(protocol: type[Protocol]) -> type:
    """The contract's four functions. Assign it to `ProtocolApi` in the module that is built."""
    kind = config_type(protocol)
    subject = protocol()
    # Here, when the component is built: an instance finds both ready.
    config_schema = json.dumps(schema.of(kind))
    list(schema.warm(kind))
    text = {name: _json_text(getattr(protocol, name)) for name in ("input_schema", "output_schema")}
    examples = [model.Example(name, json.dumps(config)) for name, config in protocol.examples.items()]

    class ProtocolApi:
        def describe(self) -> model.Descriptor:
            descriptor = model.Descriptor(
                protocol.name,
                protocol.version,
                protocol.summary,
                protocol.documentation,
                config_schema,
                text["input_schema"],
                text["output_schema"],
                examples,
                list(protocol.test_methods),
            )
            return lowered(descriptor)

        def validate_config(self, config: str) -> model.Accepted:
            try:
                answer = subject.validate(_parsed(kind, config))
            except InvalidConfig as failure:
                answer = _issues(failure)
            if isinstance(answer, list):
                raise Err(lowered(answer))
            return lowered(answer)

        def test_connection(self, config: str) -> model.ConnectionReport:
            report = _answered(lambda: subject.test_connection(_parsed(kind, config)))
            return lowered(model.ConnectionReport(report.summary, to_json(schema.plain(report.details))))

        def execute(self, call: model.Call) -> model.Outcome:
            return _answered(lambda: Outcome.of(subject.execute(_call(kind, call))).to_wit())

    return ProtocolApi


def export_reconciler(protocol: type[Protocol]) -> type:
    """`reconcile`, for a protocol that has a method of that name. Assign it to `Reconciler`.

    It is given the call that `execute` had, and answers `TookEffect`, `DidNot` or `Unknown`.
    """
    kind = config_type(protocol)
    subject = protocol()

    class Reconciler:
        def reconcile(self, call: model.Call) -> model.Reconciliation:
            return _answered(lambda: subject.reconcile(_call(kind, call)).to_wit())

    return Reconciler


def _answered(work):
    """What `work` gives; what it raises becomes the contract's failure."""
    try:
        return work()
    except Failure as failure:
        raise Err(failure.to_wit()) from None
    except (OutboundError, CaptureError) as error:
        raise Err(error.failure().to_wit()) from None
    except MemoryError:
        # The service says that better: it knows the limit.
        raise
    except Exception as error:
        journal.error(traceback.format_exc())
        raise Err(Internal(f"{type(error).__name__}: {error}").to_wit()) from None


def _parsed(kind: Any, text: str) -> Any:
    try:
        return schema.parse(kind, parse_json(text))
    except schema.DoesNotFit as error:
        issues = [schema.plain(one) for one in error.wrong]
        raise InvalidConfig(str(error), details={"issues": issues}) from None
    except ValueError as error:
        raise InvalidConfig(f"the config is not JSON: {error}") from None


def _issues(failure: InvalidConfig) -> list[Issue]:
    found = (failure.details or {}).get("issues", [])
    return [Issue(**one) for one in found] or [Issue("", "invalid", failure.message)]


def _call(kind: Any, call: model.Call) -> Call:
    return Call(
        action=call.action,
        execution=call.execution,
        correlation=call.correlation,
        attempt=call.attempt,
        idempotency_key=call.idempotency_key,
        deadline=call.deadline,
        traceparent=call.traceparent,
        trigger=call.trigger,
        config=_parsed(kind, call.config),
        input=Payload(call.input.content_type, call.input.data),
    )


def _json_text(value: dict | None) -> str | None:
    return None if value is None else json.dumps(value)
