"""The cloud on a development machine: storage emulator, function host and jobs API. Nothing of it is deployed."""
