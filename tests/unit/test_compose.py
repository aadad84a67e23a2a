"""The compose file and the image: they name only commands and settings that exist, and keep no secret."""

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from koinon.__main__ import cli
from koinon.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE_TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OWN = {name: service for name, service in SERVICES.items() if service["image"] == "koinon"}
SETTINGS = {f"KOINON_{field.upper()}" for field in Settings.__struct_fields__}


def refusal(words: list[str]) -> str | None:
    """Return why `koinon` would not take a command line as it stands, or None: it is read whole, and nothing runs."""
    command: click.Command = cli
    path, left = "koinon", list(words)
    while isinstance(command, click.Group):
        name = left.pop(0) if left else ""
        if name not in command.commands:
            return f"{path} has no command {name!r}"
        command, path = command.commands[name], f"{path} {name}"
    try:
        command.make_context(path, left)
    except click.UsageError as error:
        return f"{path}: {error.format_message()}"
    return None


def test_services_are_those_of_the_design() -> None:
    """A PostgreSQL 18, the keys, a migration, two web processes, one worker and a mail catcher."""
    assert set(SERVICES) == {"database", "keys", "migrate", "serve", "worker", "mail"}
    assert SERVICES["database"]["image"] == "postgres:18"
    assert SERVICES["serve"]["deploy"]["replicas"] == 2
    assert set(OWN) == {"keys", "migrate", "serve", "worker"}


def test_every_command_can_be_typed() -> None:
    """What each service runs, what the image runs, and what the head tells a reader to run: with all that it needs."""
    told = re.findall(r"^#   docker compose run --rm keys (.+?)(?:\s+#.*)?$", COMPOSE_TEXT, re.MULTILINE)
    default = re.findall(r'^CMD \["([a-z]+)"\]$', DOCKERFILE, re.MULTILINE)
    named = [service["command"] for service in OWN.values()] + [shlex.split(words) for words in told + default]

    assert default == ["serve"]
    assert told == ["keys operator --email anna@example.org --name Anna"]
    assert {service["command"][0] for service in OWN.values()} == {"keys", "migrate", "serve", "worker"}
    assert [refused for words in named if (refused := refusal(words))] == []


def test_every_command_of_the_head_is_looked_at() -> None:
    """Each line of the head that starts with `docker compose` is one that is known: `up`, or a command of ours."""
    head = COMPOSE_TEXT.partition("\nname: koinon")[0]
    assert [line[4:].split("#")[0].strip() for line in head.splitlines() if "docker compose" in line] == [
        "docker compose up --build --wait",
        "docker compose run --rm keys keys operator --email anna@example.org --name Anna",
    ]


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("keys operator", "Missing option '--email'"),
        ("keys operator --email a@b.example", "Missing option '--name'"),
        ("keys operator --email a@b.example --name A --colour red", "No such option"),
        ("keys operator --email a@b.example --name A more", "unexpected extra argument"),
        ("keys", "koinon keys has no command ''"),
        ("keys operators", "koinon keys has no command 'operators'"),
        ("server", "koinon has no command 'server'"),
        ("serve now", "unexpected extra argument"),
        ("", "koinon has no command ''"),
    ],
)
def test_an_incomplete_command_is_found(typed: str, why: str) -> None:
    """A command that lacks what it needs, or is given what it does not take, would not pass above."""
    assert why in (refusal(typed.split()) or "")


def test_every_setting_exists() -> None:
    """Each KOINON_ variable in the compose file and the image is a field of the settings."""
    named = set(re.findall(r"\bKOINON_[A-Z_]+", COMPOSE_TEXT + DOCKERFILE))

    assert "KOINON_DATABASE_URL" in named
    assert named - SETTINGS == set()


@pytest.mark.parametrize("name", sorted(OWN))
def test_every_service_gets_settings_that_are_read(name: str) -> None:
    """A service of ours is given KOINON_ settings alone, each of them text as the environment wants it."""
    environment = OWN[name]["environment"]

    assert set(environment) <= SETTINGS
    assert {type(value) for value in environment.values()} == {str}


def test_only_the_migration_owns_the_schema() -> None:
    """The owner's password reaches the database and the migration; who serves signs in as the restricted role."""
    owner = [name for name, service in OWN.items() if "POSTGRES_PASSWORD" in str(service["environment"])]
    urls = {service["environment"]["KOINON_DATABASE_URL"].partition(":$")[0] for service in OWN.values()}

    assert owner == ["migrate"]
    assert urls == {"postgresql://koinon_serve"}


def test_no_secret_is_written_down() -> None:
    """Every password comes from the environment, and compose says so when one is missing or empty."""
    values = [value for service in SERVICES.values() for value in service.get("environment", {}).items()]
    secrets = [(name, value) for name, value in values if "PASSWORD" in name or "PASSWORD" in value]

    assert len(secrets) == 7
    assert [name for name, value in secrets if not re.search(r"\$\{[A-Z]+_PASSWORD:\?set it in \.env", value)] == []


def test_nothing_runs_as_root() -> None:
    """Every service names a user that is not root, and the image does too."""
    users = {name: str(service.get("user", "")).partition(":")[0] for name, service in SERVICES.items()}

    assert {name for name, user in users.items() if user in {"", "0", "root"}} == set()
    assert re.findall(r"^USER (\w+)$", DOCKERFILE, re.MULTILINE) == ["koinon"]
    assert "--uid 10001" in DOCKERFILE
    assert {users[name] for name in OWN} == {"10001"}


def test_what_runs_on_is_watched_and_restarted() -> None:
    """What stays up has a health check and a restart policy; what ends by itself is waited for."""
    staying = {name: service for name, service in SERVICES.items() if name not in {"keys", "migrate"}}

    assert {name for name, service in staying.items() if service["restart"] != "unless-stopped"} == set()
    assert {name for name, service in staying.items() if "test" not in service["healthcheck"]} == set()
    assert SERVICES["migrate"]["depends_on"]["database"]["condition"] == "service_healthy"
    for name in ("serve", "worker"):
        conditions = {waited: rule["condition"] for waited, rule in SERVICES[name]["depends_on"].items()}
        assert conditions == {
            "keys": "service_completed_successfully",
            "migrate": "service_completed_successfully",
        }


def test_the_image_is_watched_where_the_web_answers() -> None:
    """The health checks of the image and of the web service ask the address that the image listens on."""
    address = "http://127.0.0.1:8700/health"

    assert address in DOCKERFILE.partition("HEALTHCHECK")[2]
    assert address in SERVICES["serve"]["healthcheck"]["test"][-1]
    assert "KOINON_PORT=8700" in DOCKERFILE
    assert SERVICES["serve"]["environment"]["KOINON_PORT"] == "8700"


def test_the_image_is_made_of_what_it_copies() -> None:
    """Every path that the image copies exists, is let in by .dockerignore, and is installed with its hashes."""
    copied = [
        word for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE) for word in line.split()
    ]
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"}

    assert [path for path in copied if not (ROOT / path).exists()] == []
    assert {path.partition("/")[0] for path in copied} == let_in
    assert DOCKERFILE.count("--no-deps --require-hashes --only-binary :all:") == 2
