"""Opens the targets that the settings name."""

from __future__ import annotations

from collections.abc import Callable

from scenejobs.adapters.notices.webhook import Webhook, check_url, secret_of
from scenejobs.errors import Code, ConfigurationError
from scenejobs.logs.redact import remember
from scenejobs.ports import NAMED, JobQueue, NoticeTarget
from scenejobs.settings.notices import NoticeSettings, named_targets


def open_targets(
    settings: NoticeSettings,
    queue: Callable[[str], JobQueue] | None = None,
    token: Callable[[str], Callable[[], str]] | None = None,
) -> dict[str, NoticeTarget]:
    """By name; empty where nobody is told. Those that scenes name begin with NAMED. Makes no request.

    queue: opens one of the account; None: there is no account. token: of the identity, for a scope.
    Raises ConfigurationError.
    """
    targets: dict[str, NoticeTarget] = {}
    if settings.url:
        check_url(settings.url, allow_private=settings.allow_private)
        targets["webhook"] = Webhook(settings.url, _secret(settings), settings.allow_private)
    targets |= _named(settings)
    for name, wanted, opener in (
        ("NOTIFY_QUEUE", settings.queue, queue), ("NOTIFY_TOPIC_ENDPOINT", settings.topic_endpoint, token)
    ):  # fmt: skip
        if wanted and opener is None:
            raise ConfigurationError(
                f"{name} is set, and there is no storage account and no identity here", code=Code.INVALID_SETTING,
                advice="use NOTIFY_URL over folders",
            )  # fmt: skip
    if settings.queue and queue:
        from scenejobs.adapters.azure.notices import Queue  # its module imports an SDK

        targets["queue"] = Queue(queue(settings.queue))
    if settings.topic_endpoint and token:
        from scenejobs.adapters.azure.notices import SCOPE, Topic

        targets["topic"] = Topic(settings.topic_endpoint, token(SCOPE))
    return targets


def _named(settings: NoticeSettings) -> dict[str, NoticeTarget]:
    found: dict[str, NoticeTarget] = {}
    advice = "use NOTIFY_TARGETS=name=https://host/path,other=https://..."
    try:
        entries = named_targets(settings.targets)
    except ValueError as exc:
        raise ConfigurationError(f"NOTIFY_TARGETS: {exc}", code=Code.INVALID_SETTING, advice=advice) from exc
    for each in entries:
        setting = f"NOTIFY_TARGETS: {each.name}"
        if not each.url:
            raise ConfigurationError(f"{setting} has no address", code=Code.INVALID_SETTING, advice=advice)
        check_url(each.url, allow_private=settings.allow_private, setting=setting)
        remember(each.secret)
        secret = secret_of(each.secret, f"the key of {setting}") if each.secret else _secret(settings)
        found[f"{NAMED}{each.name}"] = Webhook(each.url, secret, settings.allow_private, setting)
    return found


def _secret(settings: NoticeSettings) -> bytes:
    text = settings.secret
    if settings.secret_file:
        try:
            with open(settings.secret_file, encoding="utf-8") as file:
                text = file.read().strip()
        except OSError as exc:
            raise ConfigurationError(
                f"NOTIFY_SECRET_FILE={settings.secret_file} cannot be read: {exc.strerror}", code=Code.INVALID_SETTING,
                advice="mount it",
            ) from exc  # fmt: skip
    remember(text)
    return secret_of(text) if text else b""
