"""A local server that answers the Container Apps jobs API. Entry: `server`."""
