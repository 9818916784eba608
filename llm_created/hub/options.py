"""How a run is to be on the Hub."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import UsageError
from ..reports import card
from ..runs.settings import DEMO
from .repository import ready


@dataclass(frozen=True)
class Pushed:
    """How a run is to be on the Hub.

    Args:
        repo (`str`): `owner/name`.
        private (`bool`, defaults to `False`): make it a private repository; one that is public is refused.
        with_journal (`bool`, defaults to `False`): the raw replies too, so that others can make the rows again.
        replace (`bool`, defaults to `False`): put it in the place of another run's configuration.
        validation (`float`, *optional*): share of the rows that make a validation split; by default what the
            configuration has on the Hub, and none where it is new.
        options (`card.Options`): what a person says about the rows.
    """

    repo: str
    private: bool = False
    with_journal: bool = False
    replace: bool = False
    validation: float | None = None
    options: card.Options = field(default_factory=card.Options)

    def check(self, model: str) -> None:
        """Say what is wrong before anything is bought or sent.

        Raises:
            UsageError: the rows are the demo writer's, the name is not allowed, or there is no token.
        """
        if model == DEMO:
            raise UsageError("these rows are the demo writer's: they are no data, and are never pushed")
        if self.validation is not None and not 0 <= self.validation < 1:
            raise UsageError(f"`validation` is a share of the rows, from 0 to below 1, not {self.validation}")
        ready(self.repo)
