"""The interface's description: every write of parties, places and members names its key, answer and refusals."""

from litestar import Litestar

TAGS = {"parties", "places", "members"}


def test_every_write_is_described(app: Litestar) -> None:
    """Each has a summary, the Idempotency-Key, a struct as its answer, and stable codes by status."""
    paths = app.openapi_schema.to_schema()["paths"]
    operations = [
        (f"{method} {path}", operation)
        for path, item in paths.items()
        for method, operation in item.items()
        if TAGS & set(operation.get("tags", []))
    ]
    writes = [(name, operation) for name, operation in operations if not name.startswith("get ")]

    assert len(operations) >= 22
    for name, operation in operations:
        assert operation["summary"], name
        assert "`not-authenticated`" in operation["responses"]["401"]["description"], name
    for name, operation in writes:
        keys = [parameter for parameter in operation["parameters"] if parameter["name"] == "Idempotency-Key"]
        assert [key["required"] for key in keys] == [True], name
        done = [response for status, response in operation["responses"].items() if status.startswith("2")]
        assert all("$ref" in response["content"]["application/json"]["schema"] for response in done), name
        assert "`idempotency-key-reused`" in operation["responses"]["409"]["description"], name
    contract = paths["/v1/partners/{partner}/contracts"]["post"]["responses"]["422"]["description"]
    assert "`coverage-gap`" in contract
