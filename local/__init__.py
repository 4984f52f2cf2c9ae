"""The cloud on a desk: storage emulator, function host and jobs API. Nothing of it is deployed."""
