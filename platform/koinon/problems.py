"""Problems: refusals that explain themselves (RFC 9457).

    Problem
    ├── InvalidInput           400  the request cannot be read, or `errors` names its wrong fields
    ├── NotAuthenticated       401
    ├── NotAllowed             403
    ├── NotFound               404
    ├── Conflict               409  another state of things stands against it
    ├── AnswerNoLongerKept     410  it was done, and its answer is no longer kept
    └── Refused                422  understood, allowed, and against the rules of the programme

Each capability subclasses these beside its operation, with a stable `code` and the facts of the case.
"""

from typing import Any, ClassVar

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "https://koinon.example/problems/"


class Problem(Exception):
    """A refusal with a stable code, the facts, and what to do next; it leaves no trace in the books.

    `facts` become members of the problem document; values are JSON and never hold a card number or a secret.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Something went wrong on our side"

    def __init__(self, detail: str | None = None, **facts: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.facts = facts

    def document(self, instance: str | None = None) -> dict[str, Any]:
        """Return the problem document (RFC 9457 §3)."""
        members: dict[str, Any] = {
            "type": TYPE_PREFIX + self.code,
            "title": self.title,
            "status": self.status,
            "code": self.code,
        }
        if self.detail:
            members["detail"] = self.detail
        if instance:
            members["instance"] = instance
        return members | self.facts


class InvalidInput(Problem):
    """The request cannot be read, or a field of it is wrong."""

    status = 400
    code = "invalid-input"
    title = "The request is not valid"


class NotAuthenticated(Problem):
    """Nobody is known to be calling."""

    status = 401
    code = "not-authenticated"
    title = "Sign in or present a valid access token"


class NotAllowed(Problem):
    """The caller is known and may not do this."""

    status = 403
    code = "not-allowed"
    title = "The caller's roles and grants do not allow this"


class NotFound(Problem):
    """There is no such thing, or none that the caller may see."""

    status = 404
    code = "not-found"
    title = "There is no such thing"


class Conflict(Problem):
    """The state of things stands against the request."""

    status = 409
    code = "conflict"
    title = "The state of things stands against this"


class Refused(Problem):
    """Understood and allowed, but against the rules."""

    status = 422
    code = "refused"
    title = "The rules do not allow this"


class IdempotencyKeyReused(Conflict):
    """The caller used the same key for another content."""

    code = "idempotency-key-reused"
    title = "This Idempotency-Key was used for another request; send a new key"


class AnswerNoLongerKept(Problem):
    """The same request was carried out before and is not carried out again; of its answer the ids alone are known."""

    status = 410
    code = "answer-no-longer-kept"
    title = "This was done before; of its answer only the ids of what was made are still kept"


class IdempotencyKeyMissing(InvalidInput):
    """A write came without its key."""

    code = "idempotency-key-missing"
    title = "Every write needs an Idempotency-Key header of 1 to 255 characters"


class ServiceUnavailable(Problem):
    """Something that the platform stands on is not there at the moment."""

    status = 503
    code = "service-unavailable"
    title = "The service is not ready; try again shortly"


def field_error(pointer: str, message: str, code: str = "invalid-field") -> dict[str, str]:
    """Return one entry of `errors`: the field's JSON pointer (RFC 6901), a stable code, and what to do."""
    return {"pointer": pointer, "code": code, "message": message}


def invalid_field(pointer: str, message: str, code: str = "invalid-field") -> InvalidInput:
    """Return the problem of one wrong field."""
    return InvalidInput(message, errors=[field_error(pointer, message, code)])
