"""Few wide-baseline views: what keeps a training from learning them by heart."""
