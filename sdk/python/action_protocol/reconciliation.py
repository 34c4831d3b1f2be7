"""What became of an attempt in doubt: what `reconcile` answers."""

from dataclasses import dataclass

from wit_world.imports import model

from .payload import Outcome, Payload


@dataclass
class TookEffect:
    """It took effect, and this is what it would have given."""

    outcome: Outcome | Payload

    def to_wit(self) -> model.Reconciliation:
        return model.Reconciliation_TookEffect(Outcome.of(self.outcome).to_wit())


class DidNot:
    """It did not, and the service may try again: this has to be known, not supposed."""

    def to_wit(self) -> model.Reconciliation:
        return model.Reconciliation_DidNot()


class Unknown:
    """Nobody can say. The remote may still be at work."""

    def to_wit(self) -> model.Reconciliation:
        return model.Reconciliation_Unknown()
