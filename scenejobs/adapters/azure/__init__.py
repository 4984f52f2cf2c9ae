"""The adapters over the Azure SDK, for the cloud and for Azurite alike. Nothing else of the project imports it."""
