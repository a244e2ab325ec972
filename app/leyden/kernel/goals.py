"""Goals: what may be asked of the runtime, by whom, and how an intent becomes an answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, TypeAlias

import msgspec

from leyden.kernel.errors import DuplicateError, FeedbackLoopError
from leyden.kernel.event import Event, Value, freeze
from leyden.kernel.executor import Signal
from leyden.kernel.intent import Answer, Intent, Outcome, Role
from leyden.kernel.stream import EventStream

GoalHandler: TypeAlias = Callable[[Intent], Value]

_KEYS_KEPT: Final = 1024  # of intents, for those who ask again
_PAYLOAD_BYTES: Final = 4096  # as JSON; each is on record twice, and the log is for readings


class _Goal(msgspec.Struct, frozen=True):
    handler: GoalHandler
    role: Role


class _Asked:
    """An intent that has a key, and what came of it."""

    def __init__(self, done: Signal) -> None:
        self.done = done
        self.answer = Answer(Outcome.FAILED, "not carried out")


class Goals:
    """Carries out intents: on record before, on record after, once a key."""

    def __init__(self, events: EventStream) -> None:
        self._events = events
        self._goals: dict[str, _Goal] = {}
        self._asked: dict[tuple[str, Role, str, str], _Asked] = {}
        self._guard = threading.Lock()  # of the keys; never held while a handler runs

    def register(self, goal: str, handler: GoalHandler, role: Role) -> None:
        """Let intents for `goal` from `role` upwards be carried out by `handler`.

        Raises:
            DuplicateError: the goal has a handler.
        """
        if goal in self._goals:
            raise DuplicateError(f'goal "{goal}" has a handler already')
        self._events.declare_system(f"intent.{goal}")
        self._goals[goal] = _Goal(handler, role)

    def submit(self, intent: Intent) -> Answer:
        """Carry out an intent, or refuse it; never raises."""
        try:
            size = len(msgspec.json.encode(freeze(intent.payload)))
        except (TypeError, ValueError) as error:
            return Answer(Outcome.REFUSED, str(error))
        if size > _PAYLOAD_BYTES:
            words = f"found a payload of {size} bytes, expected at most {_PAYLOAD_BYTES}"
            return Answer(Outcome.REFUSED, words)
        if not intent.key:
            return self._carry_out(intent)
        # A key is its sender's own: nobody gets, or spoils, the answer to somebody else's intent.
        key = (intent.who, intent.role, intent.goal, intent.key)
        with self._guard:
            known = self._asked.get(key)
            asked = known or _Asked(self._events.executor.signal())
            self._asked[key] = asked
            while len(self._asked) > _KEYS_KEPT:  # the oldest are forgotten first
                del self._asked[next(iter(self._asked))]
        if known is None:
            try:
                asked.answer = self._carry_out(intent)
            finally:
                asked.done.set()
        asked.done.wait()
        return asked.answer

    def _carry_out(self, intent: Intent) -> Answer:
        try:
            return self._answer(intent)
        except FeedbackLoopError as error:  # asked for by a handler of what it led to
            return Answer(Outcome.FAILED, str(error))

    def _answer(self, intent: Intent) -> Answer:
        goal = self._goals.get(intent.goal)
        if goal is None:
            known = ", ".join(sorted(self._goals))
            return Answer(Outcome.REFUSED, f'no goal "{intent.goal}"; there is {known}')
        if intent.role.rank < goal.role.rank:
            detail = f"{intent.goal} needs role {goal.role}, found {intent.role}"
            # Who may do nothing may not fill the log either.
            idle = msgspec.structs.replace(intent, payload=None)
            return self._recorded(idle, Answer(Outcome.REFUSED, detail), None)
        accepted = self._record(intent, "accepted", "", None)
        try:
            answer = Answer(Outcome.DONE, result=goal.handler(intent))
        except Exception as error:  # noqa: BLE001 - whatever a handler raises is an answer
            answer = Answer(Outcome.FAILED, str(error) or type(error).__name__)
        return self._recorded(intent, answer, accepted)

    def _recorded(self, intent: Intent, answer: Answer, cause: Event | None) -> Answer:
        event = self._record(intent, str(answer.outcome), answer.detail, cause)
        return msgspec.structs.replace(answer, n=event.n)

    def _record(self, intent: Intent, outcome: str, detail: str, cause: Event | None) -> Event:
        value = {
            "goal": intent.goal, "payload": intent.payload, "who": intent.who,
            "role": str(intent.role), "outcome": outcome,
        }  # fmt: skip
        return self._events.publish_now(
            f"intent.{intent.goal}", value, source="runtime", detail=detail, cause=cause
        )
