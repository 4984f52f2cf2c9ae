"""Puts the API together: from the environment, once per process."""

from __future__ import annotations

import functools
import os
from dataclasses import replace

from function_app.web import caller
from function_app.web.site import Site
from scenejobs.logs import setup
from scenejobs.settings import older, required
from scenejobs.settings.groups import DispatchSettings
from scenejobs.settings.reader import read_all
from scenejobs.settings.storage import StorageSettings
from scenejobs.settings.web import WebSettings


@functools.cache
def site() -> Site:
    """Works with the identity of WEB_CLIENT_ID, where one is set. Raises ConfigurationError."""
    from scenejobs.adapters.azure.clients import open_containers, open_queues
    from scenejobs.adapters.azure.credentials import access
    from scenejobs.adapters.azure.links import AzureLinks

    setup.protect()
    groups = (StorageSettings, DispatchSettings, WebSettings)
    storage, dispatch, web = read_all(
        groups, os.environ, refused=older.problems(os.environ), missing=required.of_storage(os.environ)
    )
    if web.client_id:
        storage = replace(storage, client_id=web.client_id)
    caller.check_settings(web, os.environ, emulated=access(storage).is_local)
    return Site(open_containers(storage), open_queues(storage), AzureLinks(storage), web, dispatch, os.environ)
