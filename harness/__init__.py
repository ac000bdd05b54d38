"""Programs that test whole deployments: chaos, soak, load, compose, fuzz. Not part of the package."""
